// What arrives, octet by octet, and what each recipient's outcome is.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import type { RelayOutcome } from '../../../gateway/outcome.ts'
import { MESSAGE, startBench, withoutOurs } from '../../support/order.ts'
import { startNextHop } from '../../support/servers/next-hop.ts'

const brief = (outcomes: RelayOutcome[]) =>
  outcomes.map(
    o =>
      `${o.recipient} ${o.result}${o.uncertain ? ' uncertain' : ''} ${o.reply.code} ${o.reply.enhanced}`,
  )

test('relays a message, its content behind our fields', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const outcomes = await bench.delivery.deliver(
    await bench.order({ nextHops: [hop.url], fields: ['X-Sallyport-Verdict: clean'] }),
  )
  assert.deepEqual(outcomes, [
    {
      recipient: 'a@example.org',
      result: 'relayed',
      reply: { code: 250, enhanced: '2.0.0', text: 'Delivered' },
      nextHop: `127.0.0.1:${hop.port}`,
      detail: '250 2.0.0 Kept',
    },
  ])
  const [got] = hop.received
  assert.equal(
    got?.content.toString(),
    'Received: from client.example.net ([192.0.2.1])\r\n' +
      '\tby mx1.example.org with ESMTP id m01kb3q7x9abcdefghjkmnp\r\n' +
      '\tfor <a@example.org>; Tue, 24 Nov 2026 14:03:31 +0000\r\n' +
      `X-Sallyport-Verdict: clean\r\n${MESSAGE}`,
  )
  assert.equal(got?.mailFrom, 's@example.net')
  assert.deepEqual(got?.params, [`SIZE=${got?.content.length}`])
})

test('keeps octets: dots, NUL, 8-bit, long lines, no body, and 4 MiB of anything', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const head = 'A: b\r\n\r\n'
  const big = randomBytes(3 << 20).toString('base64')
  const contents = [
    `${head}.\r\n..\r\n...x\r\n\r\n.\r\n`,
    `.A: dot first\r\n\r\nx\r\n`,
    `${head}\0\x01\x7f\x80\xff\r\n`,
    `${head}${'x'.repeat(5000)}\r\n`,
    `A: b\r\n`,
    `${head}${big.replace(/(.{76})/g, '$1\r\n.')}\r\n`,
  ]
  for (const text of contents) {
    const content = Buffer.from(text, 'latin1')
    const order = await bench.order({
      nextHops: [hop.url],
      content,
      envelope: { eightBit: true },
    })
    assert.deepEqual(brief(await bench.delivery.deliver(order)), [
      'a@example.org relayed 250 2.0.0',
    ])
    const got = hop.received.at(-1)
    assert.ok(got && withoutOurs(got.content).equals(content), text.slice(0, 40))
    assert.deepEqual(got.params, ['BODY=8BITMIME', `SIZE=${got.content.length}`])
  }
  assert.equal(hop.connections.taken, 1, 'one connection carries them all')
})

test('removes forged fields of ours, also from content read in pieces', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const forged = 'x-SALLYPORT-Spam: no\r\n\tfolded\r\n over\r\n'
  const body = `\r\nX-Sallyport-Body: stays\r\n${'y'.repeat(300_000)}\r\n`
  const filler = `F: ${'z'.repeat(70_000)}\r\n`
  const content = Buffer.from(
    `${forged}A: 1\r\n${forged}${filler}${forged}B: 2\r\n${forged}${body}`,
  )
  const order = await bench.order({ nextHops: [hop.url], content })
  await bench.delivery.deliver(order)
  const got = hop.received[0]
  assert.equal(got && withoutOurs(got.content).toString(), `A: 1\r\n${filler}B: 2\r\n${body}`)
  assert.deepEqual(got?.params, [`SIZE=${got?.content.length}`])
})

test('passes addresses on as they were accepted, and the null reverse-path', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const to = [
    '"a b"@example.org',
    '"a@b"@Example.ORG',
    'a@xn--mnchen-3ya.de',
    'postmaster',
    'a..b@example.org',
    "o'neil+x@example.org",
  ]
  const order = await bench.order({ nextHops: [hop.url], to, envelope: { reversePath: '' } })
  const outcomes = await bench.delivery.deliver(order)
  assert.equal(outcomes.filter(o => o.result === 'relayed').length, to.length)
  assert.equal(hop.received[0]?.mailFrom, '')
  assert.deepEqual(hop.received[0]?.rcptTo, to)
  assert.doesNotMatch(String(hop.received[0]?.content), /for </)
})

test('refuses an address that the library would change or not take', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const to = ['"a<b"@example.org', ' c@example.org', 'ok@example.org', '']
  const outcomes = await bench.delivery.deliver(await bench.order({ nextHops: [hop.url], to }))
  assert.deepEqual(brief(outcomes).sort(), [
    ' c@example.org refused 553 5.1.3',
    ' refused 553 5.1.3',
    '"a<b"@example.org refused 553 5.1.3',
    'ok@example.org relayed 250 2.0.0',
  ])
})

test('tells per recipient what RCPT was answered', async () => {
  const answers: Record<string, string> = {
    'no@example.org': '550 5.1.1 <no@example.org> who?',
    'later@example.org': '451 greylisted',
    'odd@example.org': '550 4.1.1 a class that lies',
  }
  await using hop = await startNextHop({ behaviour: { rcpt: address => answers[address] } })
  await using bench = await startBench()
  const to = ['a@example.org', ...Object.keys(answers), 'b@example.org']
  const outcomes = await bench.delivery.deliver(await bench.order({ nextHops: [hop.url], to }))
  assert.deepEqual(brief(outcomes), [
    'a@example.org relayed 250 2.0.0',
    'no@example.org refused 550 5.1.1',
    'later@example.org deferred 451 4.3.0',
    'odd@example.org refused 550 5.1.1',
    'b@example.org relayed 250 2.0.0',
  ])
  assert.deepEqual(outcomes[1]?.reply.text, "Refused by the destination's mail server")
  assert.equal(outcomes[1]?.detail, '550 5.1.1 <no@example.org> who?')
  assert.deepEqual(hop.received[0]?.rcptTo, ['a@example.org', 'b@example.org'])
})

for (const [name, pipelining] of [
  ['with PIPELINING', ['PIPELINING']],
  ['without PIPELINING', []],
] as const) {
  test(`all recipients refused ${name}: each has its own reply`, async () => {
    await using hop = await startNextHop({
      extensions: [...pipelining],
      behaviour: { rcpt: (_, i) => (i === 0 ? '550 5.1.1 no' : undefined) },
    })
    await using bench = await startBench()
    const order = await bench.order({ nextHops: [hop.url] })
    assert.deepEqual(brief(await bench.delivery.deliver(order)), [
      'a@example.org refused 550 5.1.1',
    ])
    hop.behave({})
    assert.deepEqual(brief(await bench.delivery.deliver(order)), [
      'a@example.org relayed 250 2.0.0',
    ])
  })
}

test('MAIL, DATA or the dot refused: all accepted recipients share it', async () => {
  await using hop = await startNextHop()
  await using bench = await startBench()
  const to = ['a@example.org', 'no@example.org']
  const rcpt = (address: string) => (address.startsWith('no') ? '550 5.1.1 no' : undefined)
  const cases = [
    [{ mail: '553 5.1.8 bad sender' }, 'refused 553 5.1.8', 'refused 553 5.1.8'],
    [{ mail: '450 4.7.1 slow down' }, 'deferred 450 4.7.1', 'deferred 450 4.7.1'],
    [{ data: '554 5.7.1 spam' }, 'refused 554 5.7.1', 'refused 550 5.1.1'],
    [{ data: '250 not 354' }, 'deferred 451 4.5.0', 'refused 550 5.1.1'],
    [{ data: '503 5.5.1 lost track' }, 'deferred 451 4.5.0', 'refused 550 5.1.1'],
    [{ dot: '554 5.7.1 virus' }, 'refused 554 5.7.1', 'refused 550 5.1.1'],
    [{ dot: '452 4.3.1 disk full' }, 'deferred 452 4.3.1', 'refused 550 5.1.1'],
    [{ dot: '421 4.3.2 going down' }, 'deferred 451 4.3.2', 'refused 550 5.1.1'],
    [{ dot: 'Thanks!' }, 'deferred uncertain 451 4.4.2', 'refused 550 5.1.1'],
    [{ dot: '2xx Thanks!' }, 'deferred uncertain 451 4.4.2', 'refused 550 5.1.1'],
    [{ dot: '354 more?' }, 'deferred uncertain 451 4.4.2', 'refused 550 5.1.1'],
  ] as const
  for (const [behaviour, ours, other] of cases) {
    hop.behave({ rcpt, ...behaviour })
    const outcomes = await bench.delivery.deliver(await bench.order({ nextHops: [hop.url], to }))
    const expected = { 'a@example.org': ours, 'no@example.org': other }
    assert.deepEqual(
      Object.fromEntries(
        outcomes.map(o => [o.recipient, brief([o])[0]?.split(' ').slice(1).join(' ')]),
      ),
      expected,
      JSON.stringify(behaviour),
    )
    if (!ours.includes('uncertain')) assert.equal(hop.received.length, 0)
  }
})

test('LMTP: each recipient has its own reply after the dot, even if all fail', async () => {
  await using hop = await startNextHop({
    lmtp: true,
    behaviour: {
      dot: address =>
        ({ 'full@x.org': '452 4.2.2 over quota', 'no@x.org': '550 5.7.1 no' })[address],
    },
  })
  await using bench = await startBench()
  const to = ['a@x.org', 'full@x.org', 'no@x.org', 'b@x.org']
  const outcomes = await bench.delivery.deliver(await bench.order({ nextHops: [hop.url], to }))
  assert.deepEqual(brief(outcomes), [
    'a@x.org relayed 250 2.0.0',
    'full@x.org deferred 452 4.2.2',
    'no@x.org refused 550 5.7.1',
    'b@x.org relayed 250 2.0.0',
  ])
  const failing = await bench.order({ nextHops: [hop.url], to: ['full@x.org', 'no@x.org'] })
  assert.deepEqual(brief(await bench.delivery.deliver(failing)), [
    'full@x.org deferred 452 4.2.2',
    'no@x.org refused 550 5.7.1',
  ])
})

test('LMTP: replies already given count when the connection breaks between them', async () => {
  const say = (address: string) => (address === 'b@x.org' ? '550 5.1.1 no' : undefined)
  await using hop = await startNextHop({
    lmtp: true,
    behaviour: { dot: address => (address === 'c@x.org' ? { do: 'hangUp' } : say(address)) },
  })
  await using bench = await startBench()
  const to = ['a@x.org', 'b@x.org', 'c@x.org', 'd@x.org']
  const outcomes = await bench.delivery.deliver(await bench.order({ nextHops: [hop.url], to }))
  assert.deepEqual(brief(outcomes), [
    'a@x.org relayed 250 2.0.0',
    'b@x.org refused 550 5.1.1',
    'c@x.org deferred uncertain 451 4.4.2',
    'd@x.org deferred uncertain 451 4.4.2',
  ])
})

test('one outcome for a recipient named twice', async () => {
  await using hop = await startNextHop({ lmtp: true })
  await using bench = await startBench()
  const to = ['a@x.org', 'a@x.org']
  const outcomes = await bench.delivery.deliver(await bench.order({ nextHops: [hop.url], to }))
  assert.deepEqual(brief(outcomes), ['a@x.org relayed 250 2.0.0'])
  assert.deepEqual(hop.received[0]?.rcptTo, ['a@x.org'])
})
