// spamd for real: clean, GTUBE, hung and gone; and a lying one, which is never believed.
import assert from 'node:assert/strict'
import type net from 'node:net'
import { after, before, test } from 'node:test'
import type { FailureKind, Verdict } from '../../../scanners/scanner.ts'
import { createSpamassassin } from '../../../scanners/spamassassin.ts'
import { gtubeMessage, plainMessage } from '../../support/eicar.ts'
import { until } from '../../support/process.ts'
import { type LyingEngine, startLyingEngine } from '../../support/servers/lying-engine.ts'
import { type Spamd, startSpamd } from '../../support/servers/spamd.ts'
import { type Messages, messages } from './fixtures.ts'

let spamd: Spamd
let liar: LyingEngine
let spool: Messages
before(async () => {
  ;[spamd, liar, spool] = await Promise.all([
    startSpamd(),
    startLyingEngine(socket => socket.resume()),
    messages(),
  ])
})
after(async () => {
  await spamd[Symbol.asyncDispose]()
  await liar[Symbol.asyncDispose]()
  await spool[Symbol.asyncDispose]()
})

const patient = new AbortController().signal
const scannerAt = (address: string, deadlineMs = 15_000) =>
  createSpamassassin({ address, maxSizeBytes: 100_000, concurrency: 2, deadlineMs })
async function ask(address: string, content: Buffer, deadlineMs?: number): Promise<Verdict> {
  await using scanner = await scannerAt(address, deadlineMs)
  return (await scanner.scan(await spool.write(content), patient)).verdict
}

test('clean scores low, GTUBE 1000', async () => {
  const clean = await ask(spamd.address, plainMessage())
  assert.ok(clean.kind === 'scored' && clean.score < 5, JSON.stringify(clean))
  const gtube = await ask(spamd.address, gtubeMessage())
  assert.ok(gtube.kind === 'scored' && gtube.score >= 999, JSON.stringify(gtube))
  assert.ok(gtube.symbols.includes('GTUBE'))
})

test('a message above the size is not sent, and says so', async () => {
  const verdict = await ask(liar.address, plainMessage({ body: 'x'.repeat(200_000) }))
  assert.deepEqual(verdict, { kind: 'scored', score: 0, symbols: ['SALLYPORT_TOO_LARGE'] })
  assert.equal(liar.connections(), 0)
})

test('hung: slow', async () => {
  spamd.signal('SIGSTOP')
  const verdict = await ask(spamd.address, plainMessage(), 300)
  spamd.signal('SIGCONT')
  assert.equal(verdict.kind === 'failed' && verdict.failure, 'slow', JSON.stringify(verdict))
})

test('gone: down; back: scored', async () => {
  await using scanner = await scannerAt(spamd.address)
  assert.match((await scanner.version?.())?.version ?? '', /^SpamAssassin \d+\.\d+/)
  await spamd.stop()
  const { verdict } = await scanner.scan(await spool.write(plainMessage()), patient)
  assert.equal(verdict.kind === 'failed' && verdict.failure, 'down', JSON.stringify(verdict))
  assert.deepEqual(scanner.engines(), [{ address: spamd.address, up: false }])
  assert.equal(await scanner.version?.(), undefined)
  await spamd.restart()
  const back = await scanner.scan(await spool.write(plainMessage()), patient)
  assert.equal(back.verdict.kind, 'scored')
})

const said =
  (words: string | Buffer) =>
  (socket: net.Socket): void => {
    socket.once('data', () => socket.end(words))
    socket.resume()
  }
const reply = (status: string, spam: string, body = 'A,B', length = body.length) =>
  `SPAMD/1.1 ${status}\r\nContent-length: ${length}\r\n${spam}\r\n\r\n${body}`
const SPAM = 'Spam: False ; 1.5 / 5.0'

const LIES: [string, (socket: net.Socket) => void, FailureKind][] = [
  ['never answers', socket => socket.resume(), 'slow'],
  ['closes at once', socket => socket.destroy(), 'down'],
  ['closes without a reply', said(''), 'down'],
  ['garbage', said('HTTP/1.1 200 OK\r\n\r\n'), 'garbled'],
  ['half a reply', said('SPAMD/1.1 0 EX_OK\r\nSpam: Tr'), 'garbled'],
  ['half a body', said(reply('0 EX_OK', SPAM, 'A,', 30)), 'garbled'],
  ['no score', said(reply('0 EX_OK', 'X: y')), 'garbled'],
  ['a score that is none', said(reply('0 EX_OK', 'Spam: False ; nan / 5.0')), 'garbled'],
  ['no length', said(`SPAMD/1.1 0 EX_OK\r\n${SPAM}\r\n\r\nA`), 'garbled'],
  ['EX_TEMPFAIL', said(reply('75 EX_TEMPFAIL', SPAM)), 'down'],
  ['EX_TIMEOUT', said(reply('79 EX_TIMEOUT', SPAM)), 'slow'],
  ['EX_PROTOCOL', said(reply('76 Bad header line: x', SPAM)), 'garbled'],
  ['an endless reply', said(Buffer.alloc(1_000_000, 'x')), 'garbled'],
]
for (const [lie, behaviour, failure] of LIES)
  test(`${lie}: ${failure}`, async () => {
    liar.behave(behaviour)
    const verdict = await ask(liar.address, plainMessage(), 400)
    assert.equal(verdict.kind === 'failed' && verdict.failure, failure, JSON.stringify(verdict))
    await until('its connections to be over', () => liar.open() === 0)
  })

test('the same double, telling the truth, is believed', async () => {
  liar.behave(said(reply('0 EX_OK', SPAM)))
  const verdict = await ask(liar.address, plainMessage())
  assert.deepEqual(verdict, { kind: 'scored', score: 1.5, symbols: ['A', 'B'] })
})
