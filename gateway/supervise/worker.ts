// A worker: waits to be told what it is, becomes it, and does as the primary says until the primary is gone.
import { on } from 'node:events'
import type { Config } from '../config/schema.ts'
import { createWorkerMetrics } from '../observe/metrics-worker.ts'
import { become } from './account.ts'
import { type Observed, observe } from './instance.ts'
import { isToWorker, type Start, type ToPrimary } from './messages.ts'

/** What a kind of worker gives back to its frame. */
export type Work = {
  /** Why it would not do its work now. */
  reasons(): string[]
  reload(config: Config): Promise<void>
  /** Finishes what is in flight. */
  stop(graceMs: number): Promise<void>
}

const STATUS_MS = 500

const tell = (message: ToPrimary): void => {
  process.send?.(message, undefined, undefined, () => undefined)
}

/** Runs until the primary says stop. */
export async function runWorker(): Promise<void> {
  // The primary decides when a worker stops: a signal to the whole group must not cut its mail off.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  // From the first moment on: what is said while it starts is not to be missed.
  const messages = on(process, 'message') as AsyncIterator<[unknown]>
  const [start] = (await messages.next()).value as [Start]
  if (start.account) become(start.account)
  const observed = observe(start.config, start.instance, start.kind)
  const metricsChannel = createWorkerMetrics(observed.metrics)
  process.on('uncaughtException', error => {
    observed.events.fault({ where: 'uncaught', error })
    observed[Symbol.dispose]()
    process.exit(1)
  })
  const starting = startKind(start, observed)
  const stopped = untilStopped(messages, starting)
  const begin = async () => {
    watchStatus(await starting)
    tell({ sallyport: 'started' })
    await stopped
  }
  // Asked to stop before it takes anything, it has nothing to finish.
  await Promise.race([stopped, begin()])
  metricsChannel[Symbol.dispose]()
  observed[Symbol.dispose]()
  process.exit(0)
}

/** Each kind loads only what it needs: what is never imported takes no memory. */
async function startKind(start: Start, observed: Observed): Promise<Work> {
  if (start.kind === 'receive') {
    const { startReceiving } = await import('./receive-worker.ts')
    return startReceiving(start, observed)
  }
  const { startWorking } = await import('./work-worker.ts')
  return startWorking(start, observed)
}

function watchStatus(work: Work): void {
  let last = ''
  const look = () => {
    const reasons = work.reasons()
    if (reasons.join() === last) return
    last = reasons.join()
    tell({ sallyport: 'status', reasons })
  }
  look()
  setInterval(look, STATUS_MS).unref()
}

async function untilStopped(
  messages: AsyncIterator<[unknown]>,
  starting: Promise<Work>,
): Promise<void> {
  let work: Work | undefined
  const begun = starting.then(
    started => {
      work = started
    },
    () => undefined,
  )
  const reload = async (config: Config) => {
    await begun
    const fault = await work?.reload(config).then(
      () => undefined,
      (error: Error) => error.message,
    )
    tell({ sallyport: 'reloaded', ...(fault === undefined ? {} : { fault }) })
  }
  for (;;) {
    const { value, done } = await messages.next()
    if (done) return
    const [message] = value
    if (!isToWorker(message)) continue
    if (message.sallyport === 'reload') void reload(message.config)
    if (message.sallyport !== 'stop') continue
    await work?.stop(message.graceMs).catch(() => undefined)
    return
  }
}
