// The events around the journey: directories, engines, the spool's upkeep, faults, warnings.
import type { Events } from './events.ts'
import type { Outlets } from './tell.ts'

type AroundEvents = Pick<
  Events,
  | 'directoryLookedUp'
  | 'engineChanged'
  | 'canaryAnswered'
  | 'canaryFailed'
  | 'knownCleanAsked'
  | 'spoolCorrupt'
  | 'orphanRemoved'
  | 'sweepDone'
  | 'fault'
  | 'warned'
  | 'configReloaded'
>

const LOST_TOLD_MS = 60_000

export function tellAround({ log, metrics }: Outlets): AroundEvents {
  const to = metrics.instruments
  return {
    directoryLookedUp(e) {
      log.write(e.cause === undefined ? 'debug' : 'warn', 'directoryLookedUp', e)
      const { directory, existence: result } = e
      to.directoryLookups.inc({ directory, result, cached: String(e.cached) })
      if (!e.cached) to.directorySeconds.observe({ directory }, e.durationMs / 1000)
    },
    engineChanged(e) {
      log.write(e.up ? 'info' : 'warn', 'engineChanged', e)
      const address = metrics.bounded('engine-address', e.address)
      to.engineUp.set({ engine: e.engine, address }, e.up ? 1 : 0)
      to.engineDowns.inc({ engine: e.engine }, e.up ? 0 : 1)
    },
    canaryAnswered(e) {
      const level = e.isChanged ? (e.passed ? 'info' : 'error') : 'debug'
      log.write(level, 'canaryAnswered', e)
      to.canarySuccess.set({ probe: e.probe }, e.passed ? 1 : 0)
    },
    canaryFailed(e) {
      const level = e.isChanged ? (e.failing ? 'error' : 'info') : 'debug'
      log.write(level, 'canaryFailed', e)
      const address = metrics.bounded('engine-address', e.address)
      to.canaryEngineSuccess.set({ engine: e.engine, address }, e.failing ? 0 : 1)
    },
    knownCleanAsked(e) {
      log.write(e.result === 'forged' ? 'error' : 'debug', 'knownCleanAsked', e)
      to.knownClean.inc(e)
    },
    spoolCorrupt(e) {
      log.write('error', 'spoolCorrupt', e)
      to.spoolCorrupt.inc()
    },
    orphanRemoved(e) {
      log.write('info', 'orphanRemoved', e)
      to.orphansRemoved.inc()
    },
    sweepDone(e) {
      log.write(e.added > 0 ? 'info' : 'debug', 'sweepDone', e)
      to.sweeps.observe(e.durationMs / 1000)
      to.sweepAdded.inc(e.added)
    },
    fault({ where, error, id }) {
      const ofMessage = id === undefined ? {} : { id }
      log.write('error', 'fault', { where, ...ofMessage, ...causeOf(error) })
      to.faults.inc({ where: metrics.bounded('fault', where) })
    },
    warned(e) {
      log.write(e.over ? 'info' : 'warn', 'warned', e)
      const name = metrics.bounded('warning', e.name)
      to.warnings.inc({ name }, e.over ? 0 : 1)
      to.warningActive.set({ name }, e.over ? 0 : 1)
    },
    configReloaded(e) {
      log.write(e.result === 'applied' ? 'info' : 'error', 'configReloaded', e)
      to.configReloads.inc({ result: e.result })
    },
  }
}

/** For a journal's `onLost`: counts each line, and says so once a minute. */
export function tellLostLines({ log, metrics }: Omit<Outlets, 'journal'>): (e: unknown) => void {
  let told = 0
  return error => {
    metrics.instruments.journalLost.inc()
    if (Date.now() - told < LOST_TOLD_MS) return
    told = Date.now()
    log.write('error', 'journalLost', { cause: String(error) })
  }
}

/** An error's words and where it came from; nothing else it may carry. */
function causeOf(error: unknown): { cause: string; code?: string; stack?: string } {
  if (!(error instanceof Error)) return { cause: String(error) }
  const code = (error as NodeJS.ErrnoException).code
  return {
    cause: `${error.name}: ${error.message}`,
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  }
}
