// One text from many processes: nothing summed wrongly, no total lost with a dead worker, no scrape failed by a hung one.
import assert from 'node:assert/strict'
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createMetrics } from '../../../gateway/observe/metrics.ts'
import { createMetricsHub } from '../../../gateway/observe/metrics-hub.ts'
import type { Order } from '../../support/counting-worker.ts'
import { until } from '../../support/process.ts'

const exec = fileURLToPath(new URL('../../support/counting-worker.ts', import.meta.url))

/** The value of one series in a text, undefined where it is not there. */
const series = (text: string, name: string): number | undefined => {
  const line = text.split('\n').find(l => l.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length + 1))
}

describe('metrics over node:cluster', { timeout: 60_000 }, () => {
  const own = createMetrics({ role: 'primary' })
  const hub = createMetricsHub(own, { answerTimeoutMs: 500 })
  const workers: Worker[] = []
  const tell = (worker: Worker | undefined, order: Order) => worker?.send(order)
  const received = async () => series(await hub.text(), 'sallyport_messages_received_total')

  before(async () => {
    cluster.setupPrimary({ exec })
    for (let i = 0; i < 3; i++) {
      const worker = cluster.fork()
      workers.push(worker)
      hub.attach(worker)
      await once(worker, 'online')
    }
  })
  after(() => {
    for (const worker of workers) worker.process.kill('SIGKILL')
    own[Symbol.dispose]()
  })

  test('adds counters and the primary’s own, and gauges each in their way', async () => {
    own.instruments.messagesReceived.inc(100)
    tell(workers[0], { order: 'count', by: 10 })
    tell(workers[1], { order: 'count', by: 5 })
    await until('115', async () => (await received()) === 115)
    const text = await hub.text()
    assert.equal(series(text, 'sallyport_connections_open{listener="l"}'), 15)
    assert.equal(series(text, 'sallyport_engine_up{engine="clamav",address="a"}'), 0)
    assert.equal(series(text, 'sallyport_hold_seconds_count{reply="2xx"}'), 2)
    assert.equal(series(text, 'sallyport_hold_seconds_bucket{le="0.025",reply="2xx"}'), 2)
    assert.equal(series(text, 'sallyport_processes{role="work"}'), 3)
    assert.equal(series(text, 'sallyport_processes{role="primary"}'), 1)
  })

  test('a collector that rejects and one that hangs fail no scrape', async () => {
    tell(workers[1], { order: 'reject-collector' })
    tell(workers[1], { order: 'hang-collector' })
    own.onCollect(() => Promise.reject(new Error('no')))
    own.onCollect(() => {
      throw new Error('no')
    })
    assert.equal(await received(), 115)
  })

  test('a worker killed keeps its totals, pushed before anyone asked, and loses its gauges', async () => {
    tell(workers[1], { order: 'count', by: 7 })
    // More than one push interval without a scrape: only what it sent by itself is known.
    await new Promise(resolve => setTimeout(resolve, 2300))
    workers[1]?.process.kill('SIGKILL')
    await once(workers[1] as Worker, 'disconnect')
    const text = await hub.text()
    assert.equal(series(text, 'sallyport_messages_received_total'), 122)
    assert.equal(series(text, 'sallyport_hold_seconds_count{reply="2xx"}'), 3)
    assert.equal(series(text, 'sallyport_connections_open{listener="l"}'), 10)
    assert.equal(series(text, 'sallyport_processes{role="work"}'), 2)
    assert.equal(series(text, 'sallyport_engine_up{engine="clamav",address="a"}'), 1)
  })

  test('a second dead worker’s totals join the first’s', async () => {
    tell(workers[2], { order: 'count', by: 1000 })
    await until('1122', async () => (await received()) === 1122)
    workers[2]?.process.kill('SIGKILL')
    await once(workers[2] as Worker, 'disconnect')
    assert.equal(await received(), 1122)
    assert.equal(await received(), 1122)
  })

  test('a stopped worker fails no scrape and its last values stand for it', async () => {
    workers[0]?.process.kill('SIGSTOP')
    const began = Date.now()
    assert.equal(await received(), 1122)
    assert.ok(Date.now() - began < 2000, `took ${Date.now() - began} ms`)
    workers[0]?.process.kill('SIGCONT')
    tell(workers[0], { order: 'count', by: 1 })
    await until('it to come back', async () => (await received()) === 1123)
  })
})
