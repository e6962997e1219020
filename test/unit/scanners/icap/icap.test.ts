// c-icap with a clamd behind it, for real: what is found, what comes back unchanged, and what happens when it is gone.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createIcap } from '../../../../scanners/icap/icap.ts'
import type { Scanner, Verdict } from '../../../../scanners/scanner.ts'
import { EICAR, eicarMessage, eicarZipMessage, plainMessage } from '../../../support/eicar.ts'
import { freePort, until } from '../../../support/process.ts'
import { type Clamd, startClamd } from '../../../support/servers/clamd.ts'
import { type Icap, startIcap } from '../../../support/servers/icap.ts'
import { type Messages, messages } from '../fixtures.ts'
import { attached } from '../mime/building.ts'
import { rar5 } from '../mime/rar-packing.ts'

let clamd: Clamd
let icap: Icap
let spool: Messages
before(async () => {
  ;[clamd, spool] = await Promise.all([startClamd(), messages()])
  icap = await startIcap(clamd)
})
after(async () => {
  await icap[Symbol.asyncDispose]()
  await clamd[Symbol.asyncDispose]()
  await spool[Symbol.asyncDispose]()
})

const patient = new AbortController().signal
const scannerAt = (urls: string[], settings: Partial<Parameters<typeof createIcap>[1]> = {}) =>
  createIcap('icap-test', {
    ...{ urls, bundle: false, concurrency: 5, deadlineMs: 10_000, restMs: 200, ...settings },
  })
async function verdictOf(scanner: Scanner, content: Buffer): Promise<Verdict> {
  return (await scanner.scan(await spool.write(content), patient)).verdict
}
const INFECTED = { kind: 'infected', name: 'Eicar-Test-Signature.UNOFFICIAL' }
const long = (octets: number) =>
  plainMessage({
    body: 'x'
      .repeat(70)
      .concat('\r\n')
      .repeat(octets / 72),
  })

for (const bundle of [false, true])
  test(`clean, EICAR, EICAR in a zip; parts bundled: ${bundle}`, async () => {
    await using scanner = await scannerAt([icap.url], { bundle })
    assert.deepEqual(await verdictOf(scanner, plainMessage()), { kind: 'clean' })
    assert.deepEqual(await verdictOf(scanner, eicarMessage()), INFECTED)
    assert.deepEqual(await verdictOf(scanner, eicarZipMessage()), INFECTED)
    assert.deepEqual(await verdictOf(scanner, plainMessage()), { kind: 'clean' })
  })

test('what only a leaf shows: a base64 attachment that clamd itself does not decode', async () => {
  const hidden = eicarMessage().toString('latin1').replace('base64', '"base64" (x)')
  await using scanner = await scannerAt([icap.url])
  assert.deepEqual(await verdictOf(scanner, Buffer.from(hidden, 'latin1')), INFECTED)
})

test('a service that does not open RAR says so of our probe, and is not believed about RAR', async () => {
  await using scanner = await scannerAt([icap.url])
  const packed = attached(rar5(Buffer.alloc(300, 7), { method: 3 }))
  const unopened = { kind: 'unscannable', reasons: ['unsupported-archive'] }
  assert.deepEqual(await verdictOf(scanner, packed), unopened)
})

test('around and beyond the preview of 1024 octets', async () => {
  await using scanner = await scannerAt([icap.url])
  for (const size of [1023, 1024, 1025, 4096]) {
    const padding = Buffer.alloc(size - EICAR.length, 'y')
    const bad = Buffer.concat([padding, Buffer.from(EICAR)])
    assert.deepEqual(await verdictOf(scanner, bad), INFECTED, `${size}`)
    assert.deepEqual(await verdictOf(scanner, Buffer.alloc(size, 'y')), { kind: 'clean' })
  }
})

test('a large message that c-icap sends back while it gets it: clean only octet by octet', async () => {
  await using scanner = await scannerAt([icap.url])
  assert.deepEqual(await verdictOf(scanner, long(5_000_000)), { kind: 'clean' })
  const verdict = await verdictOf(scanner, Buffer.concat([long(5_000_000), Buffer.from(EICAR)]))
  assert.equal(verdict.kind === 'failed' && verdict.failure, 'garbled', JSON.stringify(verdict))
  await using simple = await scannerAt([icap.url.replace('virus_scan', 'avscan')])
  assert.deepEqual(
    await verdictOf(simple, Buffer.concat([long(5_000_000), Buffer.from(EICAR)])),
    INFECTED,
  )
  assert.deepEqual(await verdictOf(simple, long(5_000_000)), { kind: 'clean' })
})

test('its echo service changes nothing: clean', async () => {
  await using scanner = await scannerAt([icap.echoUrl])
  for (const size of [10, 5_000, 3_000_000])
    assert.deepEqual(await verdictOf(scanner, long(Math.max(72, size))), { kind: 'clean' })
})

test('60 at once on few connections', async () => {
  await using scanner = await scannerAt([icap.url], { concurrency: 4, deadlineMs: 20_000 })
  const [clean, bad] = [await spool.write(plainMessage()), await spool.write(eicarMessage())]
  const found = await Promise.all(
    Array.from({ length: 60 }, (_, n) => scanner.scan(n % 2 ? bad : clean, patient)),
  )
  assert.deepEqual(
    found.map(finding => finding.verdict.kind),
    found.map((_, n) => (n % 2 ? 'infected' : 'clean')),
  )
})

test('version and signatures are what OPTIONS says; an unknown service is down', async () => {
  await using scanner = await scannerAt([icap.url])
  const about = await scanner.version?.()
  assert.match(about?.version ?? '', /Antivirus service/)
  assert.match(about?.signatures ?? '', /^CI0001/)
  const unknown = `icap://127.0.0.1:${icap.port}/nothing`
  await using other = await scannerAt([unknown])
  assert.equal(await other.version?.(), undefined)
  assert.deepEqual(other.engines(), [{ address: unknown, up: false }])
  assert.equal((await verdictOf(other, plainMessage())).kind, 'failed')
})

test('empty, shorter or missing content is never clean', async () => {
  await using scanner = await scannerAt([icap.url])
  assert.equal((await verdictOf(scanner, Buffer.alloc(0))).kind, 'failed')
  const message = await spool.write(plainMessage())
  const longer = { ...message, content: { ...message.content, sizeBytes: 100_000 } }
  const shorter = { ...message, content: { ...message.content, sizeBytes: 10 } }
  const missing = { ...message, content: { ...message.content, path: '/nonexistent/x.eml' } }
  for (const each of [longer, shorter, missing]) {
    const { verdict } = await scanner.scan(each, patient)
    assert.equal(verdict.kind === 'failed' && verdict.failure, 'garbled', JSON.stringify(verdict))
  }
})

test('hung: slow; the clamd behind it gone: down; c-icap gone: down, and back', async () => {
  await using hasty = await scannerAt([icap.url], { deadlineMs: 500 })
  icap.signal('SIGSTOP')
  const slow = await verdictOf(hasty, plainMessage())
  icap.signal('SIGCONT')
  assert.equal(slow.kind === 'failed' && slow.failure, 'slow', JSON.stringify(slow))
  await using scanner = await scannerAt([icap.url])
  assert.deepEqual(await verdictOf(scanner, plainMessage()), { kind: 'clean' })
  await clamd.stop()
  const without = await verdictOf(scanner, eicarMessage())
  assert.equal(without.kind === 'failed' && without.failure, 'down', JSON.stringify(without))
  await clamd.restart()
  await icap.stop()
  const gone = await verdictOf(scanner, plainMessage())
  assert.equal(gone.kind === 'failed' && gone.failure, 'down', JSON.stringify(gone))
  await icap.restart()
  await until(
    'clean again',
    async () => (await verdictOf(scanner, plainMessage())).kind === 'clean',
  )
})

test('a refused address: the next is asked', async () => {
  const refused = `icap://127.0.0.1:${await freePort()}/avscan`
  await using scanner = await scannerAt([refused, icap.url])
  assert.deepEqual(await verdictOf(scanner, eicarMessage()), INFECTED)
  assert.equal(scanner.engines()[0]?.up, false)
})
