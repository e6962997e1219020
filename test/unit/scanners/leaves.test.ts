// The battery before a real clamd: every virus refused, every harmless twin of a usual shape clean; and what it costs.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { clamavSettings, createClamav } from '../../../scanners/clamav/clamav.ts'
import { createClamd } from '../../../scanners/clamav/clamd.ts'
import type { Scanner, Verdict } from '../../../scanners/scanner.ts'
import { EICAR, eicarMessage, plainMessage } from '../../support/eicar.ts'
import { type Folder, temporaryFolder } from '../../support/process.ts'
import { type Clamd, startClamd } from '../../support/servers/clamd.ts'
import { type Messages, messages } from './fixtures.ts'
import { attached, BASE64, b64, CRLF, FILE, file, html, mail, mixed } from './mime/building.ts'
import { HARMLESS, variants } from './mime/variants.ts'

let clamd: Clamd
let spool: Messages
let counting: Counting
before(async () => {
  ;[clamd, spool] = await Promise.all([startClamd(), messages()])
  counting = await countingProxy(clamd.socket, path.join(spool.path, 'counting.sock'))
})
after(async () => {
  await counting[Symbol.asyncDispose]()
  await clamd[Symbol.asyncDispose]()
  await spool[Symbol.asyncDispose]()
})

const patient = new AbortController().signal
const clamav = (address: string) =>
  createClamav({
    addresses: [address],
    concurrency: 4,
    deadlineMs: 20_000,
    restMs: 100,
    heuristics: {},
    wholeMessage: false,
  })
const verdictOf = async (scanner: Scanner, content: Buffer): Promise<Verdict> =>
  (await scanner.scan(await spool.write(content), patient)).verdict

type Counting = { address: string; calls(): number } & AsyncDisposable

/** Hands connections on to clamd, and counts them. */
async function countingProxy(target: string, at: string): Promise<Counting> {
  let count = 0
  const server = net.createServer(client => {
    count++
    const engine = net.connect({ path: target })
    client.on('error', () => engine.destroy()).pipe(engine)
    engine.on('error', () => client.destroy()).pipe(client)
  })
  await new Promise<void>(resolve => server.listen(at, resolve))
  return {
    address: `unix:${at}`,
    calls: () => count,
    async [Symbol.asyncDispose]() {
      await new Promise(resolve => server.close(resolve))
    },
  }
}

const isCaught = ({ kind }: Verdict): boolean => kind === 'infected' || kind === 'unscannable'
/** clamd counts the nesting itself, and says that it went no further. */
const TOO_DEEP = /^nested 60/

test('every variant is caught, every harmless twin of a usual shape is clean', async t => {
  await using scanner = await clamav(clamd.unix)
  const alone = await createClamd(clamd.unix)
  let [byClamd, harmless] = [0, 0]
  for (const { name, build, isLegitimate } of variants) {
    const { content } = await spool.write(build(EICAR))
    if (isCaught((await alone.scan(content, patient)).verdict)) byClamd++
    assert.ok(isCaught(await verdictOf(scanner, build(EICAR))), name)
    const twin = await verdictOf(scanner, build(HARMLESS))
    if (twin.kind === 'clean') harmless++
    if (isLegitimate) assert.deepEqual(twin, { kind: 'clean' }, name)
    assert.ok(twin.kind !== 'infected' && (twin.kind !== 'failed' || TOO_DEEP.test(name)), name)
  }
  t.diagnostic(`caught: ${variants.length} of ${variants.length}, clamd alone ${byClamd}`)
  t.diagnostic(`harmless twins clean: ${harmless} of ${variants.length}`)
})

test('plain text costs one call; a message of 300 parts two; a virus in the open one', async () => {
  await using scanner = await clamav(counting.address)
  const parts = Array.from({ length: 300 }, (_, n) =>
    ['--bb', FILE, BASE64, '', b64(`part ${n}`)].join(CRLF),
  )
  const many = mail('Content-Type: multipart/mixed; boundary=bb', '', ...parts, '--bb--')
  const body = `Nothing but text.${CRLF}`.repeat(220)
  for (const [content, calls] of [
    [plainMessage({ body }), 1],
    [many, 2],
    [eicarMessage(), 1],
  ] as const) {
    const earlier = counting.calls()
    await verdictOf(scanner, content)
    assert.equal(counting.calls() - earlier, calls)
  }
})

test('the same attachment in another message is not looked at again', async () => {
  await using scanner = await clamav(counting.address)
  const data = randomBytes(200_000)
  const callsFor = async (content: Buffer): Promise<number> => {
    const earlier = counting.calls()
    assert.equal((await verdictOf(scanner, content)).kind, 'clean')
    return counting.calls() - earlier
  }
  assert.equal(await callsFor(attached(data)), 2)
  assert.equal(await callsFor(mail('X-Another: one', FILE, BASE64, '', b64(data))), 1)
  await scanner.version?.()
  assert.equal(await callsFor(attached(data)), 2, 'a version not heard before empties the cache')
  assert.equal(await callsFor(attached(data)), 1)
  await scanner.version?.()
  assert.equal(await callsFor(attached(data)), 1)
})

/** A clamd with two signatures more: one for HTML, one for what is within a mail. */
async function clamdWith(signatures: Folder): Promise<Clamd> {
  const hex = (text: string): string => Buffer.from(text).toString('hex')
  const folder = path.join(signatures.path, 'signatures')
  await mkdir(folder)
  const bodies = [`Test.Html:3:*:${hex('mark of html')}`, `Test.Start:0:0:${hex('mark in front')}`]
  await writeFile(path.join(folder, 'bodies.ndb'), `${bodies.join('\n')}\n`)
  const mailed = `Test.Mailed;Engine:81-255,Container:CL_TYPE_MAIL,Target:0;0;${hex('mark of mail')}`
  await writeFile(path.join(folder, 'mail.ldb'), `${mailed}\n`)
  return startClamd({ folder: signatures.path })
}

test('text that is shown is looked at once, by clamd, as a file of its own', async () => {
  await using folder = await temporaryFolder('signatures')
  await using own = await clamdWith(folder)
  await using proxy = await countingProxy(own.socket, path.join(folder.path, 'counting.sock'))
  await using scanner = await clamav(proxy.address)
  const type = 'Content-Type: text/html; charset=utf-8'
  const plain = 'Content-Type: text/plain'
  const quoted = 'Content-Transfer-Encoding: quoted-printable'
  const markup = (word: string) => `<html><body><p>${word}  OF HTML</p></body></html>`
  const inFront = (word: string) => `${word} in front${CRLF}of a text`
  const shapes: [string, (word: string) => Buffer][] = [
    ['Test.Html', word => mail(type, '', markup(word))],
    ['Test.Html', word => mixed([type, '', markup(word)])],
    ['Test.Html', word => mixed([type, quoted, '', markup(word).replace('a', '=61')])],
    ['Test.Html', word => mixed([type, BASE64, '', b64(markup(word))])],
    ['Test.Html', word => mail(type, BASE64, '', b64(markup(word)))],
    ['Test.Start', word => mail(plain, '', inFront(word))],
    ['Test.Start', word => mail(plain, quoted, '', inFront(word).replace('a', '=61'))],
    ['Test.Start', word => mail(plain, BASE64, '', b64(inFront(word)))],
    ['Test.Start', word => mixed([plain, quoted, '', inFront(word).replace('a', '=61')])],
    ['Test.Start', word => mixed([plain, BASE64, '', b64(inFront(word))])],
  ]
  for (const [name, shape] of shapes)
    for (const word of ['mark', 'harm']) {
      const earlier = proxy.calls()
      const found = await verdictOf(scanner, shape(word))
      const infected = { kind: 'infected', name: `${name}.UNOFFICIAL` }
      assert.deepEqual(found, word === 'mark' ? infected : { kind: 'clean' })
      assert.equal(proxy.calls() - earlier, 1)
    }
  const earlier = proxy.calls()
  await verdictOf(scanner, mixed([type, `${BASE64} (x)`, '', b64(markup('mark'))]))
  assert.equal(proxy.calls() - earlier, 1, 'and where the mail is not by the book, as a file')
})

test('a large attachment goes alone, and within its mail where the configuration says so', async () => {
  await using folder = await temporaryFolder('signatures')
  await using own = await clamdWith(folder)
  const settings = clamavSettings.parse({ addresses: [own.unix] })
  await using alone = await createClamav(settings)
  await using whole = await createClamav({ ...settings, wholeMessage: true })
  const message = attached(Buffer.concat([randomBytes(50_000), Buffer.from('mark of mail')]))
  assert.deepEqual(await verdictOf(alone, message), { kind: 'clean' })
  const found = await verdictOf(whole, message)
  assert.deepEqual(found, { kind: 'infected', name: 'Test.Mailed.UNOFFICIAL' })
})

test('many at once, each with its own verdict', async () => {
  await using scanner = await clamav(clamd.unix)
  const hidden = html(`<script>f=atob("${b64(EICAR, 1e9)}")</script>`)
  const clean = html(`<script>f=atob("${b64(HARMLESS, 1e9)}")</script>`)
  const found = await Promise.all(
    Array.from({ length: 40 }, (_, n) => verdictOf(scanner, n % 2 ? hidden : clean)),
  )
  assert.deepEqual(
    found.map(({ kind }) => kind),
    found.map((_, n) => (n % 2 ? 'infected' : 'clean')),
  )
})

test('large leaves on a real disk leave nothing behind', async () => {
  await using scanner = await clamav(clamd.unix)
  const padded = Buffer.concat([randomBytes(3_000_000), Buffer.from(EICAR)])
  const odd = file('base64', b64(padded).replace(/.{76}\r\n/g, '$&!\r\n'))
  assert.equal((await verdictOf(scanner, odd)).kind, 'infected')
  const { readdir } = await import('node:fs/promises')
  assert.deepEqual(
    (await readdir(spool.path)).filter(name => name.startsWith('.leaf')),
    [],
  )
})
