// Forks workers, starts again those that end, passes on what all must hear, and stops them in order.
import cluster, { type Worker } from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Events } from '../observe/events.ts'
import type { MetricsHub } from '../observe/metrics-hub.ts'
import { WORKER_PROCESS } from './compiled.ts'
import { isToPrimary, type Start, type ToWorker, type WorkerKind } from './messages.ts'

/** Wait before a worker is started again; doubled each time, until one has run for `STEADY_MS`. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 10_000
const STEADY_MS = 5000
/** Threads for file operations in each worker: a session in custody fsyncs several files at once. */
const ENVIRONMENT = { UV_THREADPOOL_SIZE: '16' }
/** Mail is many short-lived objects: a small young generation keeps a worker's memory small at no cost in speed. */
const FLAGS = ['--max-semi-space-size=2', '--max-old-space-size=384']
export const WORKER_FLAGS = [...process.execArgv, ...FLAGS]

export type Workers = {
  start(kind: WorkerKind, slot: number): void
  tell(message: ToWorker): void
  /** Why mail would not be taken now. */
  reasons(): string[]
  /** Stops the workers of a kind; those that outlive `graceMs` are killed. */
  stop(kind: WorkerKind, graceMs: number): Promise<void>
  /** Hears when a worker has ended without being asked to. */
  onEnd(listener: (kind: WorkerKind) => void): void
}

type Slot = {
  kind: WorkerKind
  number: number
  worker: Worker | undefined
  started: boolean
  reasons: string[]
  waitMs: number
}

export function createWorkers(
  events: Events,
  hub: MetricsHub,
  startMessage: (kind: WorkerKind, slot: number) => Start,
  /** Where compiled code is kept between starts; only where nobody but ourselves can write. */
  compiled: string | undefined,
): Workers {
  // Workers accept for themselves: a connection handed to one that is just dying would hang until its client gives up.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ exec: WORKER_PROCESS, args: [], execArgv: WORKER_FLAGS })
  const environment = { ...ENVIRONMENT, ...(compiled ? { NODE_COMPILE_CACHE: compiled } : {}) }
  const slots: Slot[] = []
  const stopping = new Set<WorkerKind>()
  const listeners: ((kind: WorkerKind) => void)[] = []

  function fork(slot: Slot): void {
    const worker = cluster.fork(environment)
    const forkedAt = Date.now()
    slot.worker = worker
    slot.started = false
    // What kept the one before from its work may be over: this one says what keeps it.
    slot.reasons = []
    hub.attach(worker)
    worker.on('error', () => undefined) // its exit follows
    worker.on('message', (message: unknown) => {
      if (!isToPrimary(message)) return
      if (message.sallyport === 'started') slot.started = true
      else if (message.sallyport === 'status') slot.reasons = message.reasons
      else if (message.fault !== undefined)
        events.fault({ where: `reload of ${slot.kind} ${slot.number}`, error: message.fault })
    })
    worker.once('exit', (code, signal) => void ended(slot, code, signal, Date.now() - forkedAt))
    worker.send(startMessage(slot.kind, slot.number))
  }

  async function ended(slot: Slot, code: number, signal: string, ranMs: number): Promise<void> {
    slot.worker = undefined
    slot.started = false
    if (stopping.has(slot.kind)) return
    const how = signal ? `by ${signal}` : `with ${code}`
    events.fault({ where: `worker ${slot.kind} ${slot.number}`, error: `ended ${how}` })
    for (const listener of listeners) listener(slot.kind)
    slot.waitMs = ranMs > STEADY_MS ? FIRST_WAIT_MS : Math.min(slot.waitMs * 2, LONGEST_WAIT_MS)
    await sleep(slot.waitMs)
    if (!stopping.has(slot.kind)) fork(slot)
  }

  async function stopOne(slot: Slot, graceMs: number): Promise<void> {
    const { worker } = slot
    if (!worker || worker.isDead()) return
    const gone = new Promise<void>(resolve => worker.once('exit', () => resolve()))
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), graceMs + 2000)
    worker.send({ sallyport: 'stop', graceMs } satisfies ToWorker, () => undefined)
    await gone
    clearTimeout(timer)
  }

  return {
    start(kind, number) {
      const slot: Slot = {
        kind,
        number,
        worker: undefined,
        started: false,
        reasons: [],
        waitMs: FIRST_WAIT_MS / 2,
      }
      slots.push(slot)
      fork(slot)
    },
    tell(message) {
      for (const { worker } of slots) worker?.send(message, () => undefined)
    },
    reasons() {
      const found = slots.flatMap(slot =>
        slot.started ? slot.reasons : [`${slot.kind} worker ${slot.number} is starting`],
      )
      return [...new Set(found)]
    },
    async stop(kind, graceMs) {
      stopping.add(kind)
      await Promise.all(slots.filter(s => s.kind === kind).map(slot => stopOne(slot, graceMs)))
    },
    onEnd: listener => void listeners.push(listener),
  }
}
