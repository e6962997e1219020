// Starts a program of our own, watches it, starts it again when it ends or hangs, and stops it with the gateway.
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Events } from '../observe/events.ts'
import type { Account } from './account.ts'
import { type Child, startChild } from './child.ts'
import { endLeftovers } from './leftover.ts'

export type Program = {
  /** As in the process list; also its name in `fault`. */
  name: string
  command: string
  args: string[]
  /** Debian package that has it. */
  packageName: string
  /** Absolute; exists, belongs to `account`, and is named in the command line. */
  folder: string
  account: Account | undefined
  /** For `engineChanged`. */
  engine: string
  address: string
  /** Whether it answers; settles within seconds, never rejects. */
  ready(): Promise<boolean>
  /** It ended before it was ready, having written this: true when what hindered it is out of the way. */
  mend?(output: string): Promise<boolean>
  timing?: Partial<Timing>
  /** Ends its first start, which rejects then. */
  stop?: AbortSignal | undefined
}

export type Timing = {
  /** From start to ready. */
  startTimeoutMs: number
  /** From SIGTERM to SIGKILL. */
  stopTimeoutMs: number
  /** Between two looks at whether it answers. */
  lookMs: number
  /** Looks without an answer, one after the other, after which it counts as hung and is killed. */
  looksMissed: number
  /** Wait before it is started again; doubled each time, until it has run for `steadyMs`. */
  firstWaitMs: number
  longestWaitMs: number
  steadyMs: number
}

const TIMING: Timing = {
  startTimeoutMs: 60_000,
  stopTimeoutMs: 10_000,
  lookMs: 5000,
  looksMissed: 6,
  firstWaitMs: 100,
  longestWaitMs: 30_000,
  steadyMs: 60_000,
}
const READY_POLL_MS = 50

export type Watched = { pid(): number } & AsyncDisposable

/** Resolves when it is ready for the first time. Rejects, with its own words, where it doesn't get there. */
export async function createWatchedProgram(program: Program, events: Events): Promise<Watched> {
  const timing = { ...TIMING, ...program.timing }
  const { name, engine, address, folder } = program
  const stopping = new AbortController()
  const changed = (up: boolean, cause?: string) =>
    events.engineChanged({ engine, address, up, ...(cause === undefined ? {} : { cause }) })

  for (const pid of await endLeftovers(folder, name, timing.stopTimeoutMs)) {
    events.fault({
      where: name,
      error: `${name} ${pid}, left by a gateway that was killed, was ended`,
    })
  }
  let child = await launch(program, timing, program.stop ?? stopping.signal)
  changed(true)

  const watch = async () => {
    while (!stopping.signal.aborted) {
      const began = Date.now()
      const cause = await endOf(child, program, timing, stopping.signal)
      if (cause === undefined) return
      events.fault({ where: name, error: new Error(cause) })
      changed(false, cause)
      const steady = Date.now() - began > timing.steadyMs
      const next = await launchAgain(steady ? 0 : 1)
      if (next === undefined) return
      child = next
      changed(true)
    }
  }

  const launchAgain = async (tries: number): Promise<Child | undefined> => {
    for (let n = tries; ; n++) {
      const waitMs = Math.min(timing.firstWaitMs * 2 ** n, timing.longestWaitMs)
      await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined)
      if (stopping.signal.aborted) return undefined
      try {
        return await launch(program, timing, stopping.signal)
      } catch (error) {
        if (stopping.signal.aborted) return undefined
        events.fault({ where: name, error })
      }
    }
  }

  const watching = watch()
  return {
    pid: () => child.pid,
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await watching
      await stop(child, timing)
    },
  }
}

async function launch(program: Program, timing: Timing, stopping: AbortSignal): Promise<Child> {
  for (let mended = false; ; mended = true) {
    const outputFile = path.join(program.folder, `${program.name}.log`)
    const child = await startChild({ ...program, outputFile })
    const end = Date.now() + timing.startTimeoutMs
    while (!child.hasEnded() && !stopping.aborted && Date.now() < end) {
      if (await program.ready()) return child
      await sleep(READY_POLL_MS)
    }
    const late = stopping.aborted ? 'told to stop' : `not ready in ${timing.startTimeoutMs} ms`
    const how = child.hasEnded() ? await child.ended : late
    await stop(child, timing)
    const output = await child.output()
    if (!mended && !stopping.aborted && (await program.mend?.(output))) continue
    throw new Error(`${program.name} did not start (${how}): ${output}`)
  }
}

/** Waits until it ended, or hangs and was killed, and tells why; undefined when the gateway stops. */
async function endOf(
  child: Child,
  program: Program,
  timing: Timing,
  stopping: AbortSignal,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  let missed = 0
  let looking = false
  const look = async () => {
    if (looking) return
    looking = true
    child.trim()
    missed = (await program.ready()) ? 0 : missed + 1
    if (missed >= timing.looksMissed) child.signal('SIGKILL')
    looking = false
  }
  const timer = setInterval(look, timing.lookMs)
  const stop = () => resolve(undefined)
  stopping.addEventListener('abort', stop)
  child.ended.then(how => resolve(how))
  try {
    const how = await promise
    if (how === undefined || stopping.aborted) return undefined
    if (missed < timing.looksMissed)
      return `${program.name} ended (${how}): ${await child.output()}`
    return `${program.name} did not answer ${missed} times in a row and was killed`
  } finally {
    clearInterval(timer)
    stopping.removeEventListener('abort', stop)
  }
}

async function stop(child: Child, { stopTimeoutMs }: Timing): Promise<void> {
  if (child.hasEnded()) return
  child.signal('SIGCONT')
  child.signal('SIGTERM')
  const timer = setTimeout(() => child.signal('SIGKILL'), stopTimeoutMs)
  await child.ended
  clearTimeout(timer)
}
