// The primary: starts what the configuration asks for, watches it, shows it, and stops it in reverse. Takes no mail.
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { readConfig } from '../config/read.ts'
import type { Config, Listener } from '../config/schema.ts'
import type { Events } from '../observe/events.ts'
import { watchHost } from '../observe/host-metrics.ts'
import { createHttp } from '../observe/http.ts'
import { createLedger } from '../observe/ledger.ts'
import { createMetricsHub } from '../observe/metrics-hub.ts'
import { createCustodyLook } from '../spool/custody-look.ts'
import { accountFor, become, needsRoot, prepareFolders } from './account.ts'
import { compileFor } from './compiled.ts'
import { startEmbedded } from './embedded.ts'
import { journalFolder, newInstance, observe } from './instance.ts'
import { ROLES, type Role, type Start, type WorkerKind } from './messages.ts'
import { createWorkers, WORKER_FLAGS, type Workers } from './workers.ts'

/** SIGTERM to exit takes 30 seconds at most: receive first, then the others. */
const RECEIVE_GRACE_MS = 15_000
const WORK_GRACE_MS = 8_000
/** Who shares the spool knows what others took or ended after two looks. */
const RECONCILE_MS = 15_000

export type RunOptions = {
  file: string
  config: Config
  warnings: string[]
  roles: Role[]
  /** SIGTERM or SIGINT came, at whatever moment. */
  stop: AbortSignal
}

/** Runs until told to stop; answers the exit code. Rejects where something can't be started. */
export async function runPrimary(options: RunOptions): Promise<number> {
  // Not only at the exit: that may be a kill, or as another user.
  flushCompileCache()
  await using stack = new AsyncDisposableStack()
  const { file, config: written, roles, stop } = options
  const account = await accountFor(written.user)
  await prepareFolders(written, account)
  if (account && !needsRoot(written)) become(account)
  const stillRoot = process.getuid?.() === 0 ? account : undefined

  const instance = newInstance()
  const observed = stack.use(observe(written, instance, 'primary', stillRoot))
  const { events, metrics } = observed
  for (const text of options.warnings) events.warned({ name: 'configuration', text })

  const embedded = await startEmbedded(written, events, stillRoot?.name, stop)
  if (embedded) stack.use(embedded)
  if (!embedded || stop.aborted) return 0
  let config = embedded.apply(written)
  const hub = createMetricsHub(metrics)
  watchHost(metrics, {
    folders: { spool: config.spool, state: config.state },
    certificates: () => certificatesOf(config.listen),
  })
  // Whoever shares the spool, or does only some of the journey, sees mail come and go that others account for.
  const partly = ROLES.some(role => !roles.includes(role))
  const shared = partly || config.spool !== path.join(config.state, 'spool')
  const ledger = createLedger({ folder: journalFolder(config), instance, metrics, shared })
  const look = createCustodyLook(path.join(config.spool, 'queued'))
  await ledger.reconcile(look)
  const reconciling = setInterval(() => {
    ledger.reconcile(look).catch(error => events.fault({ where: 'ledger', error }))
  }, RECONCILE_MS)
  stack.defer(() => clearInterval(reconciling))

  // A worker that begins as root must not run code that the account it becomes could have written.
  const compiled = stillRoot ? undefined : path.join(config.state, 'compiled')
  if (compiled !== undefined) await compileFor(WORKER_FLAGS, compiled, stop)
  const startMessage = (kind: WorkerKind, slot: number): Start => ({
    ...{ sallyport: 'start', config, kind, roles, slot, instance },
    ...(stillRoot ? { account: stillRoot } : {}),
  })
  const workers = createWorkers(events, hub, startMessage, compiled)
  startWorkers(workers, config, roles)
  stack.defer(() => workers.stop('work', WORK_GRACE_MS))
  stack.defer(() => workers.stop('receive', RECEIVE_GRACE_MS))

  if (config.http) {
    const http = await createHttp({
      address: config.http.address,
      metrics: () => hub.text(),
      ready: async () => {
        const reasons = workers.reasons()
        return { ready: reasons.length === 0, reasons }
      },
    })
    stack.use(http)
    observed.log.write('info', 'started', { metrics: `http://${http.address}/metrics` })
  }
  let waiting = false
  process.on('SIGHUP', async () => {
    const read = await readConfig(file)
    if ('faults' in read) {
      const text = read.faults.map(f => `${f.file}:${f.line}: ${f.problem} — ${f.mend}`).join('\n')
      events.configReloaded({ result: 'refused', cause: text })
      return
    }
    const missing = embedded.missing(read.config)
    if (missing !== undefined) {
      const cause = `\`${missing}: embedded\` starts a program: it takes a restart`
      events.configReloaded({ result: 'refused', cause })
      return
    }
    config = { ...embedded.apply(read.config), ...keptUntilRestart(config) }
    waiting = warnUnchanged(written, read.config, waiting, events)
    workers.tell({ sallyport: 'reload', config })
    events.configReloaded({ result: 'applied' })
  })

  if (!stop.aborted) await once(stop, 'abort')
  observed.log.write('info', 'stopping', {})
  return 0
}

/** What all processes took at start; one started anew later must not differ from the others. */
const keptUntilRestart = ({ state, spool, user, redis, http, processes, log }: Config) => {
  return { state, spool, user, redis, http, processes, log }
}

/** Answers whether something waits for a restart; tells it, and once that it no longer does. */
function warnUnchanged(started: Config, read: Config, waited: boolean, events: Events): boolean {
  const changed = Object.entries(keptUntilRestart(started))
    .filter(([key, value]) => !isDeepStrictEqual(value, read[key as keyof Config]))
    .map(([key]) => `\`${key}\``)
  const waits = changed.length > 0
  const text = waits ? `changed only by a restart: ${changed.join(', ')}` : 'no restart is needed'
  if (waits || waited) events.warned({ name: 'restart', text, over: !waits })
  return waits
}

function startWorkers(workers: Workers, config: Config, roles: readonly Role[]): void {
  const half = Math.max(1, Math.floor(availableParallelism() / 2))
  const { receive, work } =
    config.processes === 'auto' ? { receive: half, work: half } : config.processes
  const works = roles.includes('scan') || roles.includes('relay')
  for (let slot = 1; works && slot <= work; slot++) workers.start('work', slot)
  for (let slot = 1; roles.includes('receive') && slot <= receive; slot++)
    workers.start('receive', slot)
}

const certificatesOf = (listeners: readonly Listener[]) =>
  listeners.flatMap(listener =>
    [listener.tls ?? []].flat().map(({ cert }) => ({ listener: listener.address, cert })),
  )
