// A worker's side of the metrics: answers when the primary asks, and sends what changed so that a kill loses little.
import type { Metrics, Snapshot } from './metrics.ts'

/** How much of the counters a kill -9 may take with it. */
const PUSH_INTERVAL_MS = 1000

/**
 * What the two sides say to one another; `n` pairs an answer with its question, pushes have none. `of` names a process
 * that has no channel to the primary, and whose totals the worker passes on.
 */
export type MetricsMessage =
  | { sallyportMetrics: 'ask'; n: number }
  | { sallyportMetrics: 'tell'; n?: number; of?: number; metrics: Snapshot }

/** The channel to the other side: `process` in a worker, a `cluster.Worker` in the primary. */
export type Channel = {
  send?(message: MetricsMessage, callback: (error: Error | null) => void): unknown
  on(event: 'message', listener: (message: unknown) => void): unknown
  off(event: 'message', listener: (message: unknown) => void): unknown
}

export const isMetricsMessage = (message: unknown): message is MetricsMessage =>
  typeof message === 'object' && message !== null && 'sallyportMetrics' in message

export type WorkerMetrics = {
  /** Sends what changed now, for whoever may be killed next. */
  push(): Promise<void>
} & Disposable

/** Starts answering on `channel`. Changed counters and histograms are sent every second, unasked. */
export function createWorkerMetrics(
  metrics: Metrics,
  channel: Channel = process as Channel,
): WorkerMetrics {
  const sent = new Map<string, string>()
  let pushing = false

  const send = (message: MetricsMessage) => {
    try {
      // The primary may be gone, or on its way out: nobody is left to count for.
      channel.send?.(message, () => undefined)
    } catch {
      return
    }
  }

  const push = async () => {
    if (pushing) return
    pushing = true
    const all = (await metrics.registry.getMetricsAsJSON()) as Snapshot
    const changed = all.filter(metric => {
      if (String(metric.type) === 'gauge') return false
      const text = JSON.stringify(metric.values)
      if (sent.get(metric.name) === text) return false
      sent.set(metric.name, text)
      return true
    })
    if (changed.length > 0) send({ sallyportMetrics: 'tell', metrics: changed })
    pushing = false
  }

  const answer = async (message: unknown) => {
    if (!isMetricsMessage(message) || message.sallyportMetrics !== 'ask') return
    send({ sallyportMetrics: 'tell', n: message.n, metrics: await metrics.snapshot() })
  }
  const onMessage = (message: unknown) => void answer(message)

  const timer = setInterval(() => void push(), PUSH_INTERVAL_MS)
  timer.unref()
  channel.on('message', onMessage)
  return {
    push,
    [Symbol.dispose]() {
      clearInterval(timer)
      channel.off('message', onMessage)
    },
  }
}
