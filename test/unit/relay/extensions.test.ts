// What a next hop can't carry is refused, never sent regardless; what needs a keyword gets it.
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Envelope } from '../../../gateway/message.ts'
import type { RelayOutcome } from '../../../gateway/outcome.ts'
import { startBench } from '../../support/order.ts'
import { startNextHop } from '../../support/servers/next-hop.ts'

const brief = (outcomes: RelayOutcome[]) =>
  outcomes.map(o => `${o.recipient} ${o.result} ${o.reply.code} ${o.reply.enhanced}`)

const ASCII = Buffer.from('A: b\r\n\r\nbody\r\n')
const BODY8 = Buffer.from('A: b\r\n\r\nböse\r\n')
const HEAD8 = Buffer.from('A: bö\r\n\r\nbody\r\n')

type Case = {
  what: string
  extensions: string[]
  content: Buffer
  envelope?: Partial<Envelope>
  to?: string[]
  outcomes: string[]
  /** The parameters of MAIL without SIZE; undefined if there must be no MAIL. */
  params?: string[]
}

const RELAYED = ['a@example.org relayed 250 2.0.0']
const cases: Case[] = [
  {
    what: '8-bit content without 8BITMIME',
    extensions: ['PIPELINING'],
    content: BODY8,
    envelope: { eightBit: true },
    outcomes: ['a@example.org refused 554 5.6.3'],
  },
  {
    what: 'BODY=8BITMIME declared of 7-bit content, without 8BITMIME',
    extensions: ['PIPELINING'],
    content: ASCII,
    envelope: { eightBit: true },
    outcomes: RELAYED,
    params: [],
  },
  {
    what: '8-bit content with 8BITMIME',
    extensions: ['8BITMIME'],
    content: BODY8,
    envelope: { eightBit: true },
    outcomes: RELAYED,
    params: ['BODY=8BITMIME'],
  },
  {
    what: 'an extension only named like 8BITMIME',
    extensions: ['X-8BITMIME'],
    content: BODY8,
    envelope: { eightBit: true },
    outcomes: ['a@example.org refused 554 5.6.3'],
  },
  {
    what: 'a UTF-8 reverse-path without SMTPUTF8',
    extensions: ['8BITMIME'],
    content: ASCII,
    envelope: { smtpUtf8: true, reversePath: 'sö@example.net' },
    outcomes: ['a@example.org refused 553 5.6.7'],
  },
  {
    what: 'one UTF-8 recipient of two without SMTPUTF8',
    extensions: ['8BITMIME'],
    content: ASCII,
    envelope: { smtpUtf8: true },
    to: ['a@example.org', 'ö@example.org'],
    outcomes: ['ö@example.org refused 553 5.6.7', ...RELAYED],
    params: [],
  },
  {
    what: 'a UTF-8 header section without SMTPUTF8',
    extensions: ['8BITMIME'],
    content: HEAD8,
    envelope: { smtpUtf8: true, eightBit: true },
    outcomes: ['a@example.org refused 553 5.6.7'],
  },
  {
    what: 'a UTF-8 header section with SMTPUTF8, all addresses ASCII',
    extensions: ['8BITMIME', 'SMTPUTF8'],
    content: HEAD8,
    envelope: { smtpUtf8: true, eightBit: true },
    outcomes: RELAYED,
    params: ['BODY=8BITMIME', 'SMTPUTF8'],
  },
  {
    what: 'SMTPUTF8 declared of ASCII content and addresses, without SMTPUTF8',
    extensions: ['8BITMIME'],
    content: ASCII,
    envelope: { smtpUtf8: true },
    outcomes: RELAYED,
    params: [],
  },
  {
    what: 'a UTF-8 recipient with SMTPUTF8',
    extensions: ['SMTPUTF8', '8BITMIME'],
    content: ASCII,
    envelope: { smtpUtf8: true },
    to: ['ö@example.org'],
    outcomes: ['ö@example.org relayed 250 2.0.0'],
    params: ['SMTPUTF8'],
  },
  {
    what: 'more than its SIZE',
    extensions: ['SIZE 100'],
    content: ASCII,
    outcomes: ['a@example.org refused 552 5.3.4'],
  },
  {
    what: 'SIZE without a limit',
    extensions: ['SIZE'],
    content: ASCII,
    outcomes: RELAYED,
    params: [],
  },
  { what: 'SIZE 0', extensions: ['SIZE 0'], content: ASCII, outcomes: RELAYED, params: [] },
]

for (const { what, extensions, content, envelope = {}, to, outcomes, params } of cases) {
  test(`${what}: ${outcomes.join()}`, async () => {
    await using hop = await startNextHop({ extensions })
    await using bench = await startBench()
    const order = await bench.order({
      nextHops: [hop.url],
      content,
      envelope,
      ...(to ? { to } : {}),
    })
    assert.deepEqual(brief(await bench.delivery.deliver(order)), outcomes)
    const mail = hop.commands.find(line => line.startsWith('MAIL'))
    assert.equal(mail !== undefined, params !== undefined)
    const sent = hop.received[0]?.params.filter(param => !param.startsWith('SIZE=')).sort()
    assert.deepEqual(sent, params)
  })
}

test('a server that knows only HELO has no extensions', async () => {
  await using hop = await startNextHop({ behaviour: { ehlo: '502 5.5.1 what?' } })
  await using bench = await startBench()
  const order = await bench.order({ nextHops: [hop.url] })
  assert.deepEqual(brief(await bench.delivery.deliver(order)), RELAYED)
  assert.deepEqual(hop.received[0]?.params, [])
})

test('UTF-8 addresses arrive as the octets they are', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const order = await bench.order({
    nextHops: [hop.url],
    to: ['ö@münchen.example'],
    envelope: { smtpUtf8: true, reversePath: 'é@example.net' },
  })
  await bench.delivery.deliver(order)
  const octets = (text: string | undefined) => Buffer.from(text ?? '', 'latin1').toString('utf8')
  assert.equal(octets(hop.received[0]?.mailFrom), 'é@example.net')
  assert.equal(octets(hop.received[0]?.rcptTo[0]), 'ö@münchen.example')
  assert.doesNotMatch(String(hop.received[0]?.content), /for </)
})

test('too many recipients for one transaction: the others follow in the next, as many as it takes', async () => {
  for (const refusal of ['452 4.5.3 too many', '452 too many', '552 5.5.3 too many']) {
    await using hop = await startNextHop({
      behaviour: { rcpt: (_, index) => (index >= 100 ? refusal : undefined) },
    })
    await using bench = await startBench()
    const to = Array.from({ length: 1050 }, (_, i) => `u${i}@example.org`)
    const outcomes = await bench.delivery.deliver(await bench.order({ nextHops: [hop.url], to }))
    assert.equal(outcomes.filter(o => o.result === 'relayed').length, 1050)
    assert.deepEqual(
      hop.received.flatMap(r => r.rcptTo),
      to,
    )
    assert.equal(hop.received.length, 11)
    assert.equal(hop.commands.filter(line => line.startsWith('RCPT')).length, 1050 + 900)
  }
})

test('452 that means something else is a deferral of its own', async () => {
  await using hop = await startNextHop({
    behaviour: { rcpt: address => (address.startsWith('full') ? '452 4.2.2 full' : undefined) },
  })
  await using bench = await startBench()
  const to = ['a@example.org', 'full@example.org']
  const outcomes = await bench.delivery.deliver(await bench.order({ nextHops: [hop.url], to }))
  assert.deepEqual(brief(outcomes), [...RELAYED, 'full@example.org deferred 452 4.2.2'])
  assert.equal(hop.received.length, 1)
})

test('452 to every recipient defers all', async () => {
  await using hop = await startNextHop({ behaviour: { rcpt: '452 4.5.3 too many' } })
  await using bench = await startBench()
  const outcomes = await bench.delivery.deliver(await bench.order({ nextHops: [hop.url] }))
  assert.deepEqual(brief(outcomes), ['a@example.org deferred 452 4.5.3'])
})
