// rspamd for real: clean, GTUBE, SPF and DKIM; and a lying one, which is never believed.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Message } from '../../../gateway/message.ts'
import { createRspamd } from '../../../scanners/rspamd.ts'
import type { FailureKind, Finding } from '../../../scanners/scanner.ts'
import { gtubeMessage, plainMessage } from '../../support/eicar.ts'
import { freePort, until } from '../../support/process.ts'
import { startDns, type TestDns } from '../../support/servers/dns.ts'
import { type Rspamd, startRspamd } from '../../support/servers/rspamd.ts'
import { type Messages, messages, signatureOf } from './fixtures.ts'

const patient = new AbortController().signal
const rspamd = (url: string, deadlineMs = 10_000) =>
  createRspamd({ url, concurrency: 5, deadlineMs })
async function ask(url: string, message: Message, deadlineMs?: number): Promise<Finding> {
  await using scanner = await rspamd(url, deadlineMs)
  return await scanner.scan(message, patient)
}

let spool: Messages
before(async () => {
  spool = await messages()
})
after(() => spool[Symbol.asyncDispose]())

describe('the real one', () => {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const record = keys.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  let dns: TestDns
  let server: Rspamd
  before(async () => {
    dns = await startDns({
      'sender.test': { txt: ['v=spf1 ip4:192.0.2.1 -all'] },
      's1._domainkey.sender.test': { txt: [`v=DKIM1; k=rsa; p=${record}`] },
    })
    server = await startRspamd({ nameserver: dns.address })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await dns[Symbol.asyncDispose]()
  })

  test('a clean message gets a low score, and SPF passes for its client', async () => {
    const { verdict, authentication } = await ask(server.url, await spool.write(plainMessage()))
    assert.ok(verdict.kind === 'scored' && verdict.score < 5, JSON.stringify(verdict))
    assert.ok(verdict.symbols.includes('R_SPF_ALLOW'), verdict.symbols.join())
    assert.deepEqual(authentication, { spf: true, dkim: false })
  })

  test('what a rule of its own makes it refuse is refused, whatever the score', async () => {
    const rule = `rspamd_config:register_symbol({ name = 'FORCED', type = 'postfilter',
      callback = function(task) task:set_pre_result('reject', 'virus found', 'antivirus') end })`
    const file = path.join(server.folder, 'local', 'rspamd.local.lua')
    await writeFile(file, rule)
    await server.restart()
    const { verdict } = await ask(server.url, await spool.write(plainMessage()))
    await rm(file)
    await server.restart()
    assert.ok(verdict.kind === 'scored' && verdict.score === 1000, JSON.stringify(verdict))
  })

  test('from another client SPF does not pass; for the null reverse-path nothing does', async () => {
    const content = plainMessage()
    const client = { address: '192.0.2.99', port: 1, helo: 'x.test' }
    const stranger = await ask(server.url, await spool.write(content, { client }))
    assert.deepEqual(stranger.authentication, { spf: false, dkim: false })
    const bounce = await ask(server.url, await spool.write(content, { reversePath: '' }))
    assert.deepEqual(bounce.authentication, { spf: false, dkim: false })
  })

  test('a DKIM signature counts where it aligns with the reverse-path', async () => {
    const signatures = await signatureOf(plainMessage(), 'sender.test', keys.privateKey)
    const signed = Buffer.concat([signatures, plainMessage()])
    const ours = await ask(server.url, await spool.write(signed))
    assert.deepEqual(ours.authentication, { spf: true, dkim: true })
    const reversePath = 'mallory@other.test'
    const theirs = await ask(server.url, await spool.write(signed, { reversePath }))
    assert.equal(theirs.authentication?.dkim, false)
  })

  test('GTUBE scores 15, though rspamd skips the rest', async () => {
    const { verdict } = await ask(server.url, await spool.write(gtubeMessage()))
    assert.deepEqual(verdict, { kind: 'scored', score: 15, symbols: ['GTUBE'] })
  })

  test('odd names from the client reach it without harm', async () => {
    const client = { address: '192.0.2.1', port: 1, helo: 'a\r\nDeliver-To: x\0\x7f' }
    const recipients = Array.from({ length: 1000 }, (_, n) => ({
      address: `user${n}é@example.org`,
      domain: 'example.org',
    }))
    const message = await spool.write(plainMessage(), {
      client,
      recipients,
      reversePath: 'ü@sender.test',
    })
    assert.equal((await ask(server.url, message)).verdict.kind, 'scored')
  })

  test('hung: slow by the deadline; killed: down; restarted: scored', async () => {
    const message = await spool.write(plainMessage())
    await using scanner = await rspamd(server.url, 500)
    const failure = async () => {
      const { verdict } = await scanner.scan(message, patient)
      return verdict.kind === 'failed' ? verdict.failure : verdict.kind
    }
    assert.equal(await failure(), 'scored')
    assert.match((await scanner.version?.())?.version ?? '', /rspamd/)
    server.signal('SIGSTOP')
    assert.equal(await failure(), 'slow')
    server.signal('SIGCONT')
    await until('it to go on', async () => (await failure()) === 'scored')
    await server.kill()
    await until('it to be gone', async () => (await failure()) === 'down', 5000)
    assert.deepEqual(scanner.engines(), [{ address: server.url, up: false }])
    assert.equal(await scanner.version?.(), undefined)
    await server.restart()
    await until('it to be back', async () => (await failure()) === 'scored')
    assert.deepEqual(scanner.engines(), [{ address: server.url, up: true }])
  })
})

describe('a lying one', () => {
  type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void
  let answer: Answer
  let asked: http.IncomingMessage[] = []
  const server = http.createServer((request, response) => {
    asked.push(request)
    request.resume()
    answer(request, response)
  })
  let url = ''
  before(async () => {
    const port = await freePort()
    await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  const says =
    (body: string, status = 200): Answer =>
    (request, response) => {
      request.once('end', () => response.writeHead(status).end(body))
    }
  const json = (fields: object) => says(JSON.stringify(fields))
  const whole = { is_skipped: false, score: 1.5, action: 'no action', symbols: {} }

  const LIES: [string, Answer, FailureKind][] = [
    ['HTTP 500', says('oops', 500), 'down'],
    ['HTTP 503', says(JSON.stringify(whole), 503), 'down'],
    ['HTTP 404', says(JSON.stringify(whole), 404), 'garbled'],
    ['HTTP 204', says('', 204), 'garbled'],
    ['HTTP 413', says('too large', 413), 'limit'],
    ['nothing', says(''), 'garbled'],
    ['half of it', says(JSON.stringify(whole).slice(0, 30)), 'garbled'],
    ['no JSON', says('score: 1'), 'garbled'],
    ['null', says('null'), 'garbled'],
    ['no score', json({ ...whole, score: undefined }), 'garbled'],
    ['a score in words', json({ ...whole, score: '1' }), 'garbled'],
    [
      'a score beyond numbers',
      says('{"score":1e999,"action":"no action","symbols":{}}'),
      'garbled',
    ],
    ['no action', json({ ...whole, action: undefined }), 'garbled'],
    ['a scan not made', json({ ...whole, is_skipped: true }), 'garbled'],
    [
      'its own timeout',
      json({
        ...whole,
        action: 'soft reject',
        messages: { smtp_message: 'timeout processing message' },
      }),
      'slow',
    ],
    ['an endless answer', says('x'.repeat(5_000_000)), 'garbled'],
    ['hang-up', request => void request.once('end', () => request.socket.destroy()), 'down'],
    ['never', () => {}, 'slow'],
    [
      'cut off midway',
      (request, response) => {
        request.once('end', () => {
          response.writeHead(200, { 'Content-Length': '1000' }).write('{"score":')
          setTimeout(() => request.socket.destroy(), 20)
        })
      },
      'down',
    ],
  ]
  for (const [lie, says, failure] of LIES)
    test(`${lie}: ${failure}`, async () => {
      answer = says
      const { verdict } = await ask(url, await spool.write(plainMessage()), 400)
      assert.equal(verdict.kind === 'failed' && verdict.failure, failure, JSON.stringify(verdict))
    })

  test('it is told who sent the message to whom, 100 recipients at most', async () => {
    answer = json({ ...whole, action: 'greylist', symbols: { A: {}, 'odd\r\nname': {} } })
    asked = []
    const recipients = Array.from({ length: 101 }, (_, n) => ({
      address: `u${n}@example.org`,
      domain: 'example.org',
    }))
    const { verdict } = await ask(url, await spool.write(plainMessage(), { recipients }))
    assert.deepEqual(verdict, { kind: 'scored', score: 1.5, symbols: ['A'] })
    const headers = asked[0]?.headersDistinct
    assert.equal(asked[0]?.url, '/checkv2')
    assert.deepEqual(
      [headers?.ip, headers?.helo, headers?.from, headers?.['queue-id']],
      [['192.0.2.1'], ['mail.sender.test'], ['alice@sender.test'], ['test-1']],
    )
    assert.deepEqual([headers?.rcpt?.length, headers?.rcpt?.[0]], [100, 'u0@example.org'])
  })

  test('missing content is our fault, not a verdict', async () => {
    answer = json(whole)
    const message = await spool.write(plainMessage())
    const content = { ...message.content, path: '/nonexistent/x.eml' }
    const { verdict } = await ask(url, { ...message, content })
    assert.equal(verdict.kind === 'failed' && verdict.failure, 'garbled', JSON.stringify(verdict))
  })
})

test('a password in the URL is not shown as the engine’s address', async () => {
  await using scanner = await rspamd('http://user:secret@127.0.0.1:1/')
  assert.deepEqual(scanner.engines(), [{ address: 'http://127.0.0.1:1', up: true }])
})
