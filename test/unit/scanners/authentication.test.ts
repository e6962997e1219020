// SPF and DKIM by mailauth: believed where they pass and align, and never for longer, or more, than we allow.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Envelope } from '../../../gateway/message.ts'
import { aligned } from '../../../scanners/alignment.ts'
import { createAuthentication, headerFitToVerify } from '../../../scanners/authentication.ts'
import { plainMessage } from '../../support/eicar.ts'
import { startDns, type TestDns } from '../../support/servers/dns.ts'
import { type Messages, messages, signatureOf } from './fixtures.ts'

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
const record = keys.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
const key = { txt: [`v=DKIM1; k=rsa; p=${record}`] }
let dns: TestDns
let spool: Messages
before(async () => {
  dns = await startDns({
    'sender.test': { txt: ['v=spf1 ip4:192.0.2.1 -all'] },
    's1._domainkey.sender.test': key,
    's1._domainkey.other.test': key,
    'silent.test': 'silent',
    'broken.test': 'servfail',
  })
  spool = await messages()
})
after(async () => {
  await dns[Symbol.asyncDispose]()
  await spool[Symbol.asyncDispose]()
})

const NOBODY = { spf: false, dkim: false }
async function ask(content: Buffer, envelope: Partial<Envelope> = {}, deadlineMs = 15_000) {
  const servers = [dns.address]
  const { authenticate } = createAuthentication({ servers, hostname: 'mx.example.org', deadlineMs })
  return await authenticate(await spool.write(content, envelope))
}
const stranger = { client: { address: '198.51.100.7', port: 1, helo: 'x.test' } }
const signed = async (domain: string) =>
  Buffer.concat([await signatureOf(plainMessage(), domain, keys.privateKey), plainMessage()])

test('SPF passes for the right client only', async () => {
  assert.deepEqual(await ask(plainMessage()), { spf: true, dkim: false })
  assert.deepEqual(await ask(plainMessage(), stranger), NOBODY)
})

test('a DKIM signature is believed where it verifies and aligns', async () => {
  assert.deepEqual(await ask(await signed('sender.test'), stranger), { spf: false, dkim: true })
  assert.deepEqual(await ask(await signed('other.test'), stranger), NOBODY)
  const altered = Buffer.from(
    (await signed('sender.test')).toString().replace('Nothing', 'Something'),
  )
  assert.deepEqual(await ask(altered, stranger), NOBODY)
})

test('the null reverse-path is nobody, without a question', async () => {
  const before = dns.asked.length
  assert.deepEqual(await ask(plainMessage(), { reversePath: '' }), NOBODY)
  assert.equal(dns.asked.length, before)
})

test('a name server that never answers, or fails: not believed, within the deadline', async () => {
  const startedAt = Date.now()
  assert.deepEqual(await ask(plainMessage(), { reversePath: 'a@silent.test' }, 1000), NOBODY)
  assert.ok(Date.now() - startedAt < 2500)
  assert.deepEqual(await ask(plainMessage(), { reversePath: 'a@broken.test' }), NOBODY)
})

test('two From fields, none, too many signatures or folds, a long header section: not even tried', async () => {
  const before = dns.asked.length
  const many = (line: string, times: number) => Buffer.from(line.repeat(times))
  const pass = plainMessage()
  const unfit = [
    Buffer.concat([Buffer.from('From: eve@evil.test\r\n'), pass]),
    Buffer.from('To: bob@example.org\r\n\r\nHello\r\n'),
    Buffer.concat([many('DKIM-Signature: v=1; d=a.test; s=x\r\n', 21), pass]),
    Buffer.concat([Buffer.from('X-Folded: a\r\n'), many(' b\r\n', 1001), pass]),
    Buffer.concat([many('X-Long: '.padEnd(900, 'x').concat('\r\n'), 80), pass]),
    Buffer.from('\r\nFrom: a@sender.test\r\n\r\n'),
  ]
  for (const content of unfit) assert.deepEqual(await ask(content), NOBODY)
  assert.equal(dns.asked.length, before)
})

test('20 signatures cost no more than 50 queries', async () => {
  const names = Array.from(
    { length: 20 },
    (_, n) => `DKIM-Signature: v=1; a=rsa-sha256; d=d${n}.test; s=x; h=from; bh=AAAA; b=AAAA\r\n`,
  )
  const before = dns.asked.length
  const content = Buffer.concat([Buffer.from(names.join('')), plainMessage()])
  assert.deepEqual(await ask(content), { spf: true, dkim: false })
  assert.ok(dns.asked.length - before <= 50, `${dns.asked.length - before} queries`)
})

test('the worst header section allowed does not block us, and ends with the deadline', async () => {
  const folds = ' x'.padEnd(60, 'y').concat('\r\n').repeat(950)
  const content = Buffer.concat([Buffer.from(`X-Folded: a\r\n${folds}`), plainMessage()])
  let longest = 0
  let last = performance.now()
  const pulse = setInterval(() => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }, 10)
  const startedAt = Date.now()
  await ask(content, {}, 3000)
  clearInterval(pulse)
  assert.ok(Date.now() - startedAt < 4500)
  assert.ok(longest < 1000, `blocked for ${longest} ms`)
})

test('alignment: the signer equal to or above the domain, never below it, never a bare top-level domain', () => {
  for (const [a, b] of [
    ['a.test', 'a.test'],
    ['A.test', 'a.TEST'],
    ['a.test', 'm.a.test'],
    ['a.test.', 'a.test'],
  ] as const)
    assert.ok(aligned(a, b), `${a} ${b}`)
  for (const [a, b] of [
    ['b.test', 'a.test'],
    ['customer.a.test', 'a.test'],
    ['test', 'a.test'],
    ['a.test', 'test'],
    ['xa.test', 'a.test'],
    ['', ''],
    ['x.a.test', 'y.a.test'],
  ] as const)
    assert.ok(!aligned(a, b), `${a} ${b}`)
})

test('a header section without an end is fit only when it is the whole message', () => {
  assert.ok(headerFitToVerify('From: a@b.test', true))
  assert.ok(!headerFitToVerify('From: a@b.test', false))
})
