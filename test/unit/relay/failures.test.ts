// What is certain and what is not when a next hop stalls, breaks off or lies, and who is tried next.
import assert from 'node:assert/strict'
import { truncate, writeFile } from 'node:fs/promises'
import test from 'node:test'
import type { RelayOutcome } from '../../../gateway/outcome.ts'
import { type Bench, startBench } from '../../support/order.ts'
import { freePort, until } from '../../support/process.ts'
import { type Behaviour, startNextHop } from '../../support/servers/next-hop.ts'

const TIMEOUTS = {
  connectMs: 400,
  greetingMs: 300,
  commandMs: 300,
  chunkMs: 300,
  finalMs: 400,
  restMs: 60_000,
}
/** A slow machine takes as long to read what was under way when the final dot was sent. */
const BIG_FINAL_MS = 10_000
const BIG = Buffer.from(`A: b\r\n\r\n${`${'x'.repeat(998)}\r\n`.repeat(20_000)}`)

const brief = (outcomes: RelayOutcome[]) =>
  outcomes.map(
    o => `${o.result}${o.uncertain ? ' uncertain' : ''} ${o.reply.code} ${o.reply.enhanced}`,
  )

async function deliverTo(bench: Bench, nextHops: string[], content?: Buffer) {
  const order = await bench.order({ nextHops, ...(content ? { content } : {}) })
  return brief(await bench.delivery.deliver(order))
}

const broken: [string, Behaviour, Buffer?][] = [
  ['hangs instead of a greeting', { greeting: { do: 'hang' } }],
  ['trickles its greeting', { greeting: { trickle: '220-x\r\n', everyMs: 5 } }],
  ['trickles its greeting without a line end', { greeting: { trickle: 'x', everyMs: 5 } }],
  ['hangs up instead of a greeting', { greeting: { do: 'hangUp' } }],
  ['resets instead of a greeting', { greeting: { do: 'reset' } }],
  ['greets with 554', { greeting: { say: '554 not you', afterwards: 'hangUp' } }],
  ['greets with 421', { greeting: { say: '421 too busy', afterwards: 'hangUp' } }],
  ['hangs at EHLO', { ehlo: { do: 'hang' } }],
  ['trickles its extensions', { ehlo: { trickle: '250-X\r\n', everyMs: 5 } }],
  ['hangs up at EHLO', { ehlo: { do: 'hangUp' } }],
  ['hangs at MAIL', { mail: { do: 'hang' } }],
  ['trickles at MAIL', { mail: { trickle: '250-x\r\n', everyMs: 5 } }],
  ['hangs up at MAIL', { mail: { do: 'hangUp' } }],
  ['says 421 at MAIL', { mail: { say: '421 4.3.2 bye', afterwards: 'hangUp' } }],
  ['says 4xx at MAIL', { mail: '451 4.3.0 try later' }],
  ['hangs at RCPT', { rcpt: { do: 'hang' } }],
  ['says 421 at RCPT', { rcpt: { say: '421 4.3.2 bye', afterwards: 'hangUp' } }],
  ['hangs up at DATA', { data: { do: 'hangUp' } }],
  ['says 421 at DATA', { data: { say: '421 4.3.2 bye', afterwards: 'hangUp' } }],
  ['hangs within content', { body: { afterOctets: 1, answer: { do: 'hang' } } }, BIG],
  ['hangs up within content', { body: { afterOctets: 1, answer: { do: 'hangUp' } } }, BIG],
  ['resets within content', { body: { afterOctets: 1, answer: { do: 'reset' } } }, BIG],
  ['says 250 to half a message', { body: { afterOctets: 1, answer: '250 2.0.0 Fine' } }, BIG],
]
for (const [what, behaviour, content] of broken) {
  test(`a next hop that ${what} has nothing: the next one is tried, and gets it once`, async () => {
    await using first = await startNextHop({ behaviour })
    await using second = await startNextHop()
    const finalMs = content ? BIG_FINAL_MS : TIMEOUTS.finalMs
    await using bench = await startBench({ timeouts: { ...TIMEOUTS, finalMs } })
    const result = await deliverTo(bench, [first.url, second.url], content)
    assert.deepEqual(result, ['relayed 250 2.0.0'])
    assert.equal(first.received.length, 0)
    assert.equal(second.received.length, 1)
    // Without another one it is a deferral, and certain.
    const [alone] = await deliverTo(bench, [first.url], content)
    assert.match(String(alone), /^deferred 45[01] 4\.[34]\.\d$/)
  })
}

for (const [what, behaviour] of [
  ['hangs after the dot', { dot: { do: 'hang' } }],
  ['trickles after the dot', { dot: { trickle: '250-x\r\n', everyMs: 5 } }],
  ['hangs up after the dot', { dot: { do: 'hangUp' } }],
  ['resets after the dot', { dot: { do: 'reset' } }],
] satisfies [string, Behaviour][]) {
  test(`a next hop that ${what} may have it: nobody else is tried`, async () => {
    await using first = await startNextHop({ behaviour })
    await using second = await startNextHop()
    await using bench = await startBench({ timeouts: TIMEOUTS })
    const result = await deliverTo(bench, [first.url, second.url])
    assert.deepEqual(result, ['deferred uncertain 451 4.4.2'])
    assert.equal(second.received.length, 0)
  })
}

test('a reply without its line end is none', async () => {
  await using hop = await startNextHop({ behaviour: { dot: { trickle: '250 ', everyMs: 100 } } })
  await using bench = await startBench({ timeouts: TIMEOUTS })
  assert.deepEqual(await deliverTo(bench, [hop.url]), ['deferred uncertain 451 4.4.2'])
})

test('a refusal within the content counts, and what follows is not sent', async () => {
  const body = { afterOctets: 1, answer: '552 5.3.4 too big' }
  await using hop = await startNextHop({ behaviour: { body } })
  await using bench = await startBench({ timeouts: TIMEOUTS })
  assert.deepEqual(await deliverTo(bench, [hop.url], BIG), ['refused 552 5.3.4'])
})

test('a late but whole reply after the dot counts', async () => {
  await using hop = await startNextHop({ behaviour: { dot: { delayMs: 600 } } })
  await using bench = await startBench({ timeouts: { ...TIMEOUTS, finalMs: 5000 } })
  assert.deepEqual(await deliverTo(bench, [hop.url]), ['relayed 250 2.0.0'])
})

test('mayFinish says no, or fails: no final dot, and nobody else is tried', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  for (const mayFinish of [async () => false, () => Promise.reject(new Error('claim lost'))]) {
    const order = await bench.order({ nextHops: [hop.url, hop.url], mayFinish })
    assert.deepEqual(brief(await bench.delivery.deliver(order)), ['deferred 451 4.3.0'])
    await until('the connection to end', () => hop.connections.open === 0)
  }
  assert.equal(hop.received.length, 0)
})

test('mayFinish is asked before the last of the content and the dot', async () => {
  await using hop = await startNextHop({ extensions: [] })
  await using bench = await startBench()
  let commands: string[] = []
  const mayFinish = async () => {
    commands = [...hop.commands]
    return hop.received.length === 0
  }
  const order = await bench.order({ nextHops: [hop.url], mayFinish })
  assert.deepEqual(brief(await bench.delivery.deliver(order)), ['relayed 250 2.0.0'])
  assert.equal(commands.at(-1), 'DATA')
})

test('a connection lost while mayFinish thinks is certain, whatever it then says', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const asked = Promise.withResolvers<boolean>()
  let began = false
  const order = await bench.order({
    nextHops: [hop.url],
    mayFinish() {
      began = true
      return asked.promise
    },
  })
  const delivered = bench.delivery.deliver(order)
  await until('mayFinish to be asked', () => began)
  await hop.stop()
  assert.deepEqual(brief(await delivered), ['deferred 451 4.4.2'])
  asked.resolve(true)
})

test('content shorter, longer or gone: deferred, told, and never sent in part', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const small = await bench.order({ nextHops: [hop.url] })
  await truncate(small.content.path, small.content.sizeBytes - 2)
  assert.deepEqual(brief(await bench.delivery.deliver(small)), ['deferred 451 4.3.0'])
  await writeFile(small.content.path, Buffer.alloc(small.content.sizeBytes + 1, 'x'))
  assert.deepEqual(brief(await bench.delivery.deliver(small)), ['deferred 451 4.3.0'])
  const gone = { ...small, content: { path: `${small.content.path}.gone`, sizeBytes: 5 } }
  assert.deepEqual(brief(await bench.delivery.deliver(gone)), ['deferred 451 4.3.0'])
  assert.equal(bench.events.of('fault').length, 3)
  assert.equal(hop.connections.taken, 0)
})

test('content cut while it is sent: no final dot', async () => {
  await using hop = await startNextHop({ behaviour: { data: { delayMs: 200 } } })
  await using bench = await startBench()
  const order = await bench.order({ nextHops: [hop.url], content: BIG })
  const delivered = bench.delivery.deliver(order)
  await until('DATA', () => hop.commands.includes('DATA'))
  await truncate(order.content.path, 1_000_000)
  assert.deepEqual(brief(await delivered), ['deferred 451 4.3.0'])
  await until('the connection to end', () => hop.connections.open === 0)
  assert.equal(hop.received.length, 0)
})

test('an aborted signal ends waiting, connecting and sending, certainly', async () => {
  for (const behaviour of [{ greeting: { do: 'hang' } }, { mail: { do: 'hang' } }] as const) {
    await using hop = await startNextHop({ behaviour })
    await using bench = await startBench()
    const stop = new AbortController()
    const order = await bench.order({ nextHops: [hop.url, hop.url] })
    const delivered = bench.delivery.deliver(order, stop.signal)
    await until('a connection', () => hop.connections.open === 1)
    stop.abort()
    assert.match(String(brief(await delivered)), /^deferred 451 4\.3\.\d$/)
    assert.deepEqual(brief(await bench.delivery.deliver(order, stop.signal)), [
      'deferred 451 4.3.0',
    ])
    assert.equal(hop.connections.taken, 1)
  }
})

test('a port nobody listens on, and a name that does not exist', async () => {
  await using bench = await startBench({ timeouts: TIMEOUTS })
  const port = await freePort()
  assert.deepEqual(await deliverTo(bench, [`smtp://127.0.0.1:${port}`]), ['deferred 451 4.4.1'])
  const nowhere = await deliverTo(bench, ['smtp://nowhere.invalid:25'])
  assert.match(String(nowhere), /^deferred 451 4\.4\.[13]$/)
  assert.deepEqual(await deliverTo(bench, ['not a next hop']), ['deferred 451 4.4.3'])
})

test('names come from the system (and /etc/hosts)', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  assert.deepEqual(await deliverTo(bench, [`smtp://localhost:${hop.port}`]), ['relayed 250 2.0.0'])
})

test('one that failed rests behind the others, and is tried all the same when all rest', async () => {
  await using first = await startNextHop({ behaviour: { greeting: { do: 'hangUp' } } })
  await using second = await startNextHop()
  await using bench = await startBench({ timeouts: TIMEOUTS })
  const hops = [first.url, second.url]
  await deliverTo(bench, hops)
  assert.equal(first.connections.taken, 1)
  await deliverTo(bench, hops)
  assert.equal(first.connections.taken, 1, 'it rests')
  const address = `127.0.0.1:${first.port}`
  const [down] = bench.events.of('engineChanged')
  assert.deepEqual({ ...down, cause: '' }, { engine: 'next-hop', address, up: false, cause: '' })
  assert.equal(bench.delivery.destinations()[0]?.up, false)
  await second.stop()
  first.behave({})
  assert.deepEqual(await deliverTo(bench, hops), ['relayed 250 2.0.0'])
  assert.deepEqual(bench.events.of('engineChanged').at(-1), {
    engine: 'next-hop',
    address,
    up: true,
  })
})

test('refused by RCPT is settled, even if the rest goes to another next hop', async () => {
  await using first = await startNextHop({
    behaviour: {
      rcpt: address => (address.startsWith('no') ? '550 5.1.1 no' : undefined),
      data: { do: 'hangUp' },
    },
  })
  await using second = await startNextHop()
  await using bench = await startBench({ timeouts: TIMEOUTS })
  const to = ['no@example.org', 'a@example.org']
  const order = await bench.order({ nextHops: [first.url, second.url], to })
  const outcomes = await bench.delivery.deliver(order)
  assert.deepEqual(
    outcomes.map(o => `${o.recipient} ${o.result} ${o.nextHop}`),
    [
      `no@example.org refused 127.0.0.1:${first.port}`,
      `a@example.org relayed 127.0.0.1:${second.port}`,
    ],
  )
})
