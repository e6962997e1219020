// What next hops may be written like, and which hosts MX records mean.
import assert from 'node:assert/strict'
import type { MxRecord } from 'node:dns'
import test from 'node:test'
import { parseNextHop, targetsOf } from '../../../gateway/relay/next-hop.ts'
import { startBench } from '../../support/order.ts'
import { startNextHop } from '../../support/servers/next-hop.ts'

test('next hops by URL', () => {
  const keys = {
    'smtp://mail.internal': 'smtp://mail.internal:25 opportunistic',
    'SMTP://Mail.Internal:2525/': 'smtp://mail.internal:2525 opportunistic',
    'smtp+tls://mail.internal': 'smtp+tls://mail.internal:25 starttls',
    'smtps://mail.internal': 'smtps://mail.internal:465 implicit',
    'lmtp://10.0.0.7': 'lmtp://10.0.0.7:24 opportunistic',
    'smtp://[2001:db8::1]:26': 'smtp://[2001:db8::1]:26 opportunistic',
    'mx:example.org': 'example.org 25',
    'mx:example.org:2525': 'example.org 2525',
  }
  for (const [text, expected] of Object.entries(keys)) {
    const hop = parseNextHop(text)
    const got =
      hop?.kind === 'host'
        ? `${hop.target.key} ${hop.target.security}`
        : `${hop?.domain} ${hop?.port}`
    assert.equal(got, expected)
  }
})

test('what is no next hop', () => {
  const wrong = [
    ...[
      '',
      'mail.internal',
      'http://mail',
      'smtp:mail',
      'smtp://',
      'smtp://a b',
      'mx://example.org',
    ],
    ...['mx:', 'mx:10.0.0.1', 'smtp://a:0', 'smtp://a:65536', 'smtp://a:b', 'smtp://user@a', '//a'],
    ...['smtp://[1.2.3.4]', 'smtp://::1', 'smtp://a/path', 'smtp://-a', 'smtp://a\r\nb'],
  ]
  for (const text of wrong) assert.equal(parseNextHop(text), undefined, text)
})

const failing = (code: string) => async (): Promise<MxRecord[]> => {
  throw Object.assign(new Error(code), { code })
}
const names = async (hop: string, resolve: () => Promise<MxRecord[]>) =>
  (await targetsOf([hop], resolve)).targets.map(target => target.name)

test('exchangers by preference; without any the domain itself', async () => {
  const records = [
    { priority: 20, exchange: 'b.example.org.' },
    { priority: 10, exchange: 'A.example.org' },
  ]
  assert.deepEqual(await names('mx:example.org', async () => records), [
    'a.example.org:25',
    'b.example.org:25',
  ])
  for (const code of ['ENODATA', 'ENOTFOUND']) {
    assert.deepEqual(await names('mx:example.org:26', failing(code)), ['example.org:26'])
  }
  const many = Array.from({ length: 100 }, (_, priority) => ({
    priority,
    exchange: `h${priority}`,
  }))
  assert.equal((await names('mx:example.org', async () => many)).length, 16)
})

test('name server down: deferred; null MX (RFC 7505): refused', async () => {
  await using down = await startBench({ resolveMx: failing('ESERVFAIL') })
  const order = await down.order({ nextHops: ['mx:example.org'] })
  const [deferred] = await down.delivery.deliver(order)
  assert.deepEqual([deferred?.result, deferred?.reply.enhanced], ['deferred', '4.4.3'])
  await using none = await startBench({ resolveMx: async () => [{ priority: 0, exchange: '' }] })
  const [refused] = await none.delivery.deliver(order)
  assert.deepEqual(
    [refused?.result, refused?.reply.code, refused?.reply.enhanced],
    ['refused', 556, '5.1.10'],
  )
})

test('delivers to the exchanger that answers', async () => {
  await using hop = await startNextHop()
  const records = [
    { priority: 1, exchange: 'nowhere.invalid' },
    { priority: 2, exchange: 'localhost' },
  ]
  await using bench = await startBench({ resolveMx: async () => records })
  const order = await bench.order({ nextHops: [`mx:example.org:${hop.port}`] })
  const [outcome] = await bench.delivery.deliver(order)
  assert.deepEqual([outcome?.result, outcome?.nextHop], ['relayed', `localhost:${hop.port}`])
})
