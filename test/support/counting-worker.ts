// A cluster worker with metrics, which counts and fails as it is told by messages.
import { createMetrics } from '../../gateway/observe/metrics.ts'
import { createWorkerMetrics } from '../../gateway/observe/metrics-worker.ts'

export type Order = { order: 'count' | 'hang-collector' | 'reject-collector'; by?: number }

const metrics = createMetrics({ role: 'work' })
createWorkerMetrics(metrics)
process.on('message', (message: unknown) => {
  const { order, by = 1 } = message as Partial<Order>
  if (order === 'count') {
    metrics.instruments.messagesReceived.inc(by)
    metrics.instruments.connectionsOpen.inc({ listener: 'l' }, by)
    metrics.instruments.engineUp.set({ engine: 'clamav', address: 'a' }, by > 5 ? 1 : 0)
    metrics.instruments.holdSeconds.observe({ reply: '2xx' }, 0.02)
  }
  if (order === 'hang-collector') metrics.onCollect(() => new Promise(() => undefined))
  if (order === 'reject-collector') metrics.onCollect(() => Promise.reject(new Error('no')))
})
