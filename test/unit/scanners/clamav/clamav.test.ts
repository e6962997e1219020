// clamd for real: what is found, what is not, and what happens when it is down, hung, killed, or at its limits.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { clamavSettings, createClamav } from '../../../../scanners/clamav/clamav.ts'
import type { Scanner, Verdict } from '../../../../scanners/scanner.ts'
import {
  attachment,
  EICAR,
  eicarMessage,
  eicarZipMessage,
  plainMessage,
  zip,
} from '../../../support/eicar.ts'
import { until } from '../../../support/process.ts'
import { type Clamd, startClamd } from '../../../support/servers/clamd.ts'
import { type Messages, messages } from '../fixtures.ts'

let clamd: Clamd
let spool: Messages
before(async () => {
  ;[clamd, spool] = await Promise.all([
    startClamd({ config: { StreamMaxLength: '1M', MaxFileSize: '512K', CommandReadTimeout: 5 } }),
    messages(),
  ])
})
after(async () => {
  await clamd[Symbol.asyncDispose]()
  await spool[Symbol.asyncDispose]()
})

const patient = new AbortController().signal
const clamav = (
  addresses: string[],
  settings: { deadlineMs?: number; restMs?: number; concurrency?: number } = {},
) =>
  createClamav(
    clamavSettings.parse({
      addresses,
      concurrency: 20,
      deadlineMs: 5000,
      restMs: 200,
      ...settings,
    }),
  )
async function verdictOf(scanner: Scanner, content: Buffer): Promise<Verdict> {
  return (await scanner.scan(await spool.write(content), patient)).verdict
}

for (const kind of ['unix', 'tcp'] as const)
  test(`over ${kind}: clean, EICAR, EICAR in a zip, encrypted zip`, async () => {
    await using scanner = await clamav([clamd[kind]])
    assert.deepEqual(await verdictOf(scanner, plainMessage()), { kind: 'clean' })
    const infected = { kind: 'infected', name: 'Eicar-Test-Signature.UNOFFICIAL' }
    assert.deepEqual(await verdictOf(scanner, eicarMessage()), infected)
    assert.deepEqual(await verdictOf(scanner, eicarZipMessage()), infected)
    assert.deepEqual(await verdictOf(scanner, eicarZipMessage({ method: 'stored' })), infected)
    const locked = zip('eicar.com', Buffer.from(EICAR), 'stored', 'secret')
    assert.deepEqual(await verdictOf(scanner, attachment({}, 'x.zip', locked)), {
      kind: 'unscannable',
      reasons: ['encrypted-archive'],
    })
  })

test('several pieces long, with EICAR at the very end', async () => {
  await using scanner = await clamav([clamd.unix])
  const padding = 'x'.repeat(70).concat('\r\n').repeat(5000)
  const long = plainMessage({ body: padding })
  assert.equal((await verdictOf(scanner, long)).kind, 'clean')
  assert.equal(
    (await verdictOf(scanner, Buffer.concat([long, Buffer.from(EICAR)]))).kind,
    'infected',
  )
})

test('above StreamMaxLength: limit, every time, and the address does not rest', async () => {
  await using scanner = await clamav([clamd.unix, clamd.tcp])
  const tooLong = plainMessage({ body: 'x'.repeat(70).concat('\r\n').repeat(60_000) })
  for (let time = 0; time < 5; time++) {
    const verdict = await verdictOf(scanner, tooLong)
    assert.equal(verdict.kind === 'failed' && verdict.failure, 'limit', JSON.stringify(verdict))
  }
  assert.ok(scanner.engines().every(engine => engine.up))
})

test("above clamd's own MaxFileSize: limit, not clean", async () => {
  await using scanner = await clamav([clamd.unix])
  const large = plainMessage({ body: 'x'.repeat(70).concat('\r\n').repeat(10_000) })
  const verdict = await verdictOf(scanner, large)
  assert.equal(verdict.kind === 'failed' && verdict.failure, 'limit', JSON.stringify(verdict))
})

test('empty, shorter or missing content is never clean', async () => {
  await using scanner = await clamav([clamd.unix])
  assert.equal((await verdictOf(scanner, Buffer.alloc(0))).kind, 'failed')
  const message = await spool.write(plainMessage())
  const longer = { ...message, content: { ...message.content, sizeBytes: 100_000 } }
  const missing = { ...message, content: { ...message.content, path: '/nonexistent/x.eml' } }
  for (const each of [longer, missing]) {
    const { verdict } = await scanner.scan(each, patient)
    assert.equal(verdict.kind === 'failed' && verdict.failure, 'garbled', JSON.stringify(verdict))
  }
})

test('60 at once all get their verdict', async () => {
  await using scanner = await clamav([clamd.unix], { concurrency: 10, deadlineMs: 20_000 })
  const [clean, bad] = [await spool.write(plainMessage()), await spool.write(eicarMessage())]
  const found = await Promise.all(
    Array.from({ length: 60 }, (_, n) => scanner.scan(n % 2 ? bad : clean, patient)),
  )
  assert.deepEqual(
    found.map(finding => finding.verdict.kind),
    found.map((_, n) => (n % 2 ? 'infected' : 'clean')),
  )
})

test('a full backlog is waited for: 60 at once at a clamd with a short queue, and its version', async () => {
  const short = { MaxConnectionQueueLength: 3, MaxThreads: 2, MaxQueue: 4 }
  await using busy = await startClamd({ config: short })
  await using scanner = await clamav([busy.unix], { concurrency: 60, deadlineMs: 20_000 })
  const [clean, bad] = [await spool.write(plainMessage()), await spool.write(eicarMessage())]
  const scans = Array.from({ length: 60 }, (_, n) => scanner.scan(n % 2 ? bad : clean, patient))
  const version = scanner.version?.()
  assert.deepEqual(
    (await Promise.all(scans)).map(finding => finding.verdict.kind),
    scans.map((_, n) => (n % 2 ? 'infected' : 'clean')),
  )
  assert.match((await version)?.version ?? '', /^ClamAV/)
  assert.deepEqual(scanner.engines(), [{ address: busy.unix, up: true }])
})

test('a full backlog that never empties: slow by the deadline, not down', async () => {
  await using hung = await startClamd({ config: { MaxConnectionQueueLength: 3 } })
  await using scanner = await clamav([hung.unix], { concurrency: 30, deadlineMs: 700 })
  const clean = await spool.write(plainMessage())
  hung.signal('SIGSTOP')
  const found = await Promise.all(Array.from({ length: 30 }, () => scanner.scan(clean, patient)))
  hung.signal('SIGCONT')
  for (const { verdict } of found)
    assert.equal(verdict.kind === 'failed' && verdict.failure, 'slow', JSON.stringify(verdict))
})

test('a clamd that calls clean what exceeds its limits is warned about', async () => {
  await using silent = await startClamd({ config: { AlertExceedsMax: 'no', MaxRecursion: 100 } })
  await using scanner = await clamav([clamd.unix, silent.unix])
  const warning = `clamd at ${silent.unix} CALLS CLEAN WHAT EXCEEDS ITS LIMITS`
  assert.ok((await scanner.version?.())?.warning?.startsWith(warning))
  await using well = await clamav([clamd.unix])
  assert.ok(!(await well.version?.())?.warning?.includes('LIMITS'))
})

test('its version; official signatures would add theirs', async () => {
  await using scanner = await clamav([clamd.unix])
  assert.match((await scanner.version?.())?.version ?? '', /^ClamAV \d/)
})

test('SIGSTOP: slow by the deadline, its connections are cut; SIGCONT: clean again', async () => {
  await using scanner = await clamav([clamd.unix], { deadlineMs: 400 })
  clamd.signal('SIGSTOP')
  const startedAt = Date.now()
  const verdict = await verdictOf(scanner, plainMessage())
  const tookMs = Date.now() - startedAt
  clamd.signal('SIGCONT')
  assert.equal(verdict.kind === 'failed' && verdict.failure, 'slow')
  assert.ok(tookMs < 1500, `${tookMs} ms`)
  assert.deepEqual(scanner.engines(), [{ address: clamd.unix, up: false }])
  await until(
    'a clean verdict',
    async () => (await verdictOf(scanner, plainMessage())).kind === 'clean',
  )
  assert.deepEqual(scanner.engines(), [{ address: clamd.unix, up: true }])
})

test('SIGKILL in the middle of scans: failed, never clean for EICAR; restart: infected again', async () => {
  await using scanner = await clamav([clamd.unix, clamd.tcp])
  const bad = await spool.write(eicarMessage())
  const scans = Array.from({ length: 20 }, () => scanner.scan(bad, patient))
  await clamd.kill()
  for (const { verdict } of await Promise.all(scans)) assert.notEqual(verdict.kind, 'clean')
  const { verdict } = await scanner.scan(bad, patient)
  assert.equal(verdict.kind === 'failed' && verdict.failure, 'down', JSON.stringify(verdict))
  assert.equal(await scanner.version?.(), undefined)
  await clamd.restart()
  // Both addresses rest, and are tried all the same.
  assert.equal((await scanner.scan(bad, patient)).verdict.kind, 'infected')
})

test('an address that cannot be understood is refused at the start', async () => {
  for (const address of [
    '/run/clamd.ctl',
    'unix:relative',
    'tcp:host',
    'tcp:host:0',
    'tcp:host:70000',
  ])
    await assert.rejects(clamav([address]), /not an engine's address/)
})
