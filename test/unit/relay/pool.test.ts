// Connections: how many at once, in which order, kept for how long, and what happens when a kept one is dead.
import assert from 'node:assert/strict'
import test from 'node:test'
import { startBench } from '../../support/order.ts'
import { until } from '../../support/process.ts'
import { startNextHop } from '../../support/servers/next-hop.ts'

test('never more connections than allowed; the others wait in order', async () => {
  await using hop = await startNextHop({ behaviour: { dot: { delayMs: 20 } } })
  await using bench = await startBench({ concurrency: 2 })
  let most = 0
  const done: string[] = []
  const orders = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      bench.order({
        nextHops: [hop.url],
        to: [`${i}@example.org`],
        async mayFinish() {
          most = Math.max(most, hop.connections.open)
          return true
        },
      }),
    ),
  )
  const delivering = orders.map(async order => {
    const [outcome] = await bench.delivery.deliver(order)
    done.push(`${outcome?.recipient} ${outcome?.result}`)
  })
  await until('some to wait', () => bench.delivery.destinations()[0]?.waiting)
  assert.equal(bench.delivery.destinations()[0]?.active, 2)
  await Promise.all(delivering)
  assert.equal(most, 2)
  assert.equal(hop.connections.taken, 2)
  const order = hop.received.map(r => Number(r.rcptTo[0]?.split('@')[0]))
  for (const [i, n] of order.entries()) assert.ok(Math.abs(n - i) <= 1, String(order))
  assert.deepEqual(bench.delivery.destinations(), [
    { nextHop: `127.0.0.1:${hop.port}`, active: 0, waiting: 0, up: true },
  ])
})

test('waiting ends by signal, and by its limit', async () => {
  await using hop = await startNextHop({ behaviour: { dot: { do: 'hang' } } })
  await using bench = await startBench({ concurrency: 1, timeouts: { waitMs: 200 } })
  const order = await bench.order({ nextHops: [hop.url] })
  const stop = new AbortController()
  const first = bench.delivery.deliver(order, stop.signal)
  const other = new AbortController()
  const second = bench.delivery.deliver(order, other.signal)
  await until('the second to wait', () => bench.delivery.destinations()[0]?.waiting === 1)
  other.abort()
  assert.deepEqual((await second)[0]?.reply.enhanced, '4.3.2')
  const [third] = await bench.delivery.deliver(order)
  assert.deepEqual([third?.result, third?.reply.enhanced], ['deferred', '4.4.5'])
  await until('the dot', () => hop.commands.includes('DATA'))
  stop.abort()
  await first
})

test('a next hop that takes connections and says nothing: all who wait learn it from the first', async () => {
  await using hop = await startNextHop({ behaviour: { greeting: { do: 'hang' } } })
  await using bench = await startBench({ concurrency: 1, timeouts: { greetingMs: 300 } })
  const order = await bench.order({ nextHops: [hop.url] })
  const startedAt = Date.now()
  const all = await Promise.all(Array.from({ length: 20 }, () => bench.delivery.deliver(order)))
  assert.ok(Date.now() - startedAt < 2000)
  for (const [outcome] of all)
    assert.deepEqual([outcome?.result, outcome?.reply.enhanced], ['deferred', '4.4.1'])
  assert.equal(hop.connections.taken, 1)
  assert.deepEqual(
    bench.delivery.destinations().map(({ active, waiting, up }) => [active, waiting, up]),
    [[0, 0, false]],
  )
  hop.behave({})
  assert.equal((await bench.delivery.deliver(order))[0]?.result, 'relayed')
})

test('an unused connection is ended with QUIT after its time', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench({ timeouts: { idleMs: 100 } })
  await bench.delivery.deliver(await bench.order({ nextHops: [hop.url] }))
  assert.equal(hop.connections.open, 1)
  await until('QUIT', () => hop.commands.at(-1) === 'QUIT' && hop.connections.open === 0)
})

test('a connection is ended after a hundred messages', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const order = await bench.order({ nextHops: [hop.url] })
  for (let i = 0; i < 101; i++) await bench.delivery.deliver(order)
  assert.deepEqual(
    [hop.received[99]?.connection, hop.received[100]?.connection, hop.connections.taken],
    [1, 2, 2],
  )
})

test('a kept connection that is dead: once more on a fresh one, and one copy', async () => {
  for (const mail of [
    { do: 'hangUp' },
    { do: 'reset' },
    { say: '421 4.4.2 idle too long', afterwards: 'hangUp' },
  ] as const) {
    await using hop = await startNextHop()
    await using bench = await startBench()
    const order = await bench.order({ nextHops: [hop.url] })
    await bench.delivery.deliver(order)
    hop.behave({ connection: 1, mail })
    const [outcome] = await bench.delivery.deliver(order)
    assert.equal(outcome?.result, 'relayed')
    assert.deepEqual(
      hop.received.map(r => r.connection),
      [1, 2],
    )
    assert.equal(bench.events.of('engineChanged').length, 0)
  }
})

test('a fresh connection that dies is not tried again and again', async () => {
  await using hop = await startNextHop({ behaviour: { mail: { do: 'hangUp' } } })
  await using bench = await startBench()
  await bench.delivery.deliver(await bench.order({ nextHops: [hop.url] }))
  assert.equal(hop.connections.taken, 1)
})

test('a server that closes idle connections, or restarts, is no failure', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const order = await bench.order({ nextHops: [hop.url] })
  await bench.delivery.deliver(order)
  await hop.stop()
  await hop.restart()
  assert.equal((await bench.delivery.deliver(order))[0]?.result, 'relayed')
  assert.deepEqual(
    hop.received.map(r => r.connection),
    [1, 2],
  )
})

test('its disposal ends idle connections, and what is still going on', async () => {
  await using hop = await startNextHop({ behaviour: { dot: { do: 'hang' } } })
  const bench = await startBench()
  const order = await bench.order({ nextHops: [hop.url] })
  const delivered = bench.delivery.deliver(order)
  await until('DATA', () => hop.commands.includes('DATA'))
  await bench[Symbol.asyncDispose]()
  assert.equal((await delivered)[0]?.result, 'deferred')
  await until('the connection to end', () => hop.connections.open === 0)
  assert.equal((await bench.delivery.deliver(order))[0]?.result, 'deferred')
})

test('a thousand recipients and a hundred deliveries leave no listener behind', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench({ concurrency: 1 })
  const warnings: string[] = []
  const onWarning = (warning: Error) => warnings.push(warning.message)
  process.on('warning', onWarning)
  const stop = new AbortController()
  const order = await bench.order({ nextHops: [hop.url] })
  for (let i = 0; i < 60; i++) await bench.delivery.deliver(order, stop.signal)
  process.off('warning', onWarning)
  assert.deepEqual(warnings, [])
})
