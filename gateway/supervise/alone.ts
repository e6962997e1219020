// Tries mail that was in flight at two deaths alone, one at a time, in a process of its own; what kills that too is poison.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { requiredScanners } from '../config/domain-settings.ts'
import type { Config } from '../config/schema.ts'
import type { Envelope } from '../message.ts'
import type { Events } from '../observe/events.ts'
import { isMetricsMessage, type MetricsMessage } from '../observe/metrics-worker.ts'
import type { Plan } from '../queue/jobs.ts'
import { createRelay, type RelayOptions } from '../relay/relay.ts'
import type { Spool } from '../spool/spool.ts'
import { isFromAlone, type Start, type ToAlone } from './messages.ts'

const PROCESS = path.join(import.meta.dirname, 'alone-process.ts')
const START_MS = 30_000
/** Longer than scanners and next hops take together: a try that lasts longer is ended, and not held against the message. */
const LONGEST_TRY_MS = 1_800_000
/** A try under way when we stop is given this long. */
const LAST_TRY_MS = 3000
/** Others are told of again by the sweep. */
const MOST_WAITING = 10_000

const POLICY = 'poison'
const REASON = 'two processes died while they worked on it, and one that tried it alone'

export type AloneOptions = {
  start: Start
  config(): Config
  spool: Spool
  events: Events
  /** What puts poison into the quarantine. */
  relay: RelayOptions
  /** Takes the metrics of that process to where they are added up. */
  passOn(message: MetricsMessage): void
}

export type Alone = {
  /** To be tried in its turn; nothing where it waits already. */
  take(id: string): void
} & AsyncDisposable

type Tried = 'done' | 'died' | 'late'

export function createAlone(options: AloneOptions): Alone {
  const { events } = options
  const waiting = new Set<string>()
  let child: ChildProcess | undefined
  let working: Promise<void> | undefined
  let stopped = false

  async function tryOne(id: string): Promise<void> {
    child ??= await startProcess(options)
    const tried = await untilTried(child, id)
    if (tried === 'done') return
    child.kill('SIGKILL')
    child = undefined
    if (stopped) return
    if (tried === 'died') await quarantine(options, id)
    else events.fault({ where: 'alone', error: 'a message tried alone took too long', id })
  }

  async function work(): Promise<void> {
    for (const id of waiting) {
      if (stopped) break
      await tryOne(id).catch(error => events.fault({ where: 'alone', error, id }))
      waiting.delete(id)
    }
    child?.disconnect()
    child = undefined
    working = undefined
  }

  return {
    take(id) {
      if (stopped || waiting.size >= MOST_WAITING) return
      waiting.add(id)
      working ??= work()
    },
    async [Symbol.asyncDispose]() {
      stopped = true
      const timer = setTimeout(() => child?.kill('SIGKILL'), LAST_TRY_MS)
      await working
      clearTimeout(timer)
    },
  }
}

/** Rejects where it does not come to work: then no message is to blame. */
async function startProcess({ start, config, passOn }: AloneOptions): Promise<ChildProcess> {
  const child = fork(PROCESS, { serialization: 'json' })
  const of = child.pid
  child.on('message', message => {
    if (isMetricsMessage(message) && message.sallyportMetrics === 'tell' && of !== undefined)
      passOn({ ...message, of })
  })
  child.on('error', () => undefined) // its exit follows
  child.send({ ...start, sallyport: 'start', config: config() } satisfies Start, () => undefined)
  const giveUp = AbortSignal.timeout(START_MS)
  try {
    const started = hasStarted(child, giveUp)
    const ended = once(child, 'exit', { signal: giveUp }).then(([code, signal]) => {
      throw new Error(`it ended with ${code ?? signal} before it had begun`)
    })
    ended.catch(() => undefined) // where it comes later, whoever waits for the try hears
    await Promise.race([started, ended])
    return child
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

/** What it counts may be here before: only then does it hear what it is told to try. */
async function hasStarted(child: ChildProcess, giveUp: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const heard = (message: unknown) => {
    if (isFromAlone(message) && message.sallyport === 'started') resolve()
  }
  child.on('message', heard)
  giveUp.addEventListener('abort', () => resolve(), { once: true })
  await promise
  child.off('message', heard)
  giveUp.throwIfAborted()
}

function untilTried(child: ChildProcess, id: string): Promise<Tried> {
  const { promise, resolve } = Promise.withResolvers<Tried>()
  const heard = (message: unknown) => {
    if (isFromAlone(message) && message.sallyport === 'tried' && message.id === id) resolve('done')
  }
  const died = () => resolve('died')
  const timer = setTimeout(() => resolve('late'), LONGEST_TRY_MS)
  child.on('message', heard)
  child.once('exit', died)
  if (child.exitCode !== null || child.signalCode !== null) died()
  else child.send({ sallyport: 'try', id } satisfies ToAlone, () => undefined)
  return promise.finally(() => {
    clearTimeout(timer)
    child.off('message', heard)
    child.off('exit', died)
  })
}

/** Nobody looks into it any more: it is kept as it came, for whoever it was meant for. */
async function quarantine(options: AloneOptions, id: string): Promise<void> {
  const { spool, events, config } = options
  const envelope = await spool.envelope(id)
  if (!envelope) return
  const { attempt, ends } = await spool.log(id)
  events.warned({ name: POLICY, text: `${id}: ${REASON}` })
  for (const { address: recipient } of envelope.recipients)
    if (!ends.has(recipient))
      events.decided({ id, recipient, disposition: 'quarantine', policy: POLICY, reason: REASON })
  const plan = planOf(envelope, requiredScanners(config()))
  await createRelay({ ...options.relay, alone: true })({ envelope, attempt, plan })
}

const planOf = (envelope: Envelope, scanners: string[]): Plan => ({
  scanners,
  recipients: envelope.recipients.map(({ address }) => ({
    recipient: address,
    disposition: 'quarantine',
    policy: POLICY,
    reason: REASON,
  })),
})
