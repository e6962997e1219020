// Canaries past real engines: a clamd that does not know EICAR gets no mail, and gets it again once it does.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { createClamav } from '../../../scanners/clamav/clamav.ts'
import { createRspamd } from '../../../scanners/rspamd.ts'
import type { Scanner } from '../../../scanners/scanner.ts'
import { createSpamassassin } from '../../../scanners/spamassassin.ts'
import { EICAR, eicarMessage, plainMessage } from '../../support/eicar.ts'
import { type Clamd, startClamd, WITHOUT_EICAR } from '../../support/servers/clamd.ts'
import { startRspamd } from '../../support/servers/rspamd.ts'
import { startSpamd } from '../../support/servers/spamd.ts'
import { type Messages, messages } from '../scanners/fixtures.ts'
import { judged, toldCanary, whether } from './canaries.ts'

let good: Clamd
let blind: Clamd
let spool: Messages
before(async () => {
  ;[good, blind, spool] = await Promise.all([
    startClamd(),
    startClamd({ signatures: WITHOUT_EICAR }),
    messages(),
  ])
})
after(() => Promise.all([good, blind, spool].map(each => each[Symbol.asyncDispose]())))

const canaryOf = (settings?: { everySeconds: number; gtube: boolean }) =>
  toldCanary(path.join(spool.path, 'canary'), settings)

const clamavOf = (...addresses: string[]) =>
  createClamav({
    addresses,
    concurrency: 10,
    deadlineMs: 5000,
    restMs: 0,
    heuristics: {},
    wholeMessage: false,
  })

const verdictOf = (scanner: Scanner, content: Buffer) => judged(spool, scanner, content)

test('a good clamd passes, and every canary comes through', async () => {
  await using scanner = await clamavOf(good.unix)
  const canary = canaryOf()
  await canary.look([scanner])
  assert.deepEqual(canary.passed, whether(true))
  assert.deepEqual(canary.failing, { [good.unix]: false })
  assert.deepEqual([canary.reasons([scanner]), canary.isRestless()], [[], false])
  assert.equal((await verdictOf(scanner, plainMessage()))?.kind, 'clean')
})

test('a clamd that calls EICAR clean is down, for clean mail too', async () => {
  await using scanner = await clamavOf(blind.unix)
  assert.equal((await verdictOf(scanner, eicarMessage()))?.kind, 'clean', 'it lies')
  const canary = canaryOf()
  await canary.look([scanner])
  assert.deepEqual(canary.passed, whether(false))
  assert.deepEqual(canary.failing, { [blind.unix]: true })
  assert.deepEqual(canary.reasons([scanner]), ['clamav fails its canary'])
  assert.deepEqual(scanner.engines(), [{ address: blind.unix, up: false }])
  const verdict = await verdictOf(scanner, plainMessage())
  assert.equal(verdict?.kind === 'failed' && verdict.failure, 'down')
})

test('of two members the blind one rests: no virus passes by it, however many are sent', async () => {
  await using scanner = await clamavOf(blind.unix, good.unix)
  const canary = canaryOf()
  await canary.look([scanner])
  assert.deepEqual(canary.passed, whether(true))
  assert.deepEqual(canary.failing, { [blind.unix]: true, [good.unix]: false })
  assert.deepEqual(canary.reasons([scanner]), [])
  const verdicts = await Promise.all(
    Array.from({ length: 30 }, () => verdictOf(scanner, eicarMessage())),
  )
  assert.ok(verdicts.every(verdict => verdict?.kind === 'infected'))
  // Even while the good one is gone, and although the blind one answers.
  await good.stop()
  const verdict = await verdictOf(scanner, eicarMessage())
  assert.equal(verdict?.kind, 'failed', JSON.stringify(verdict))
  await scanner.version?.()
  assert.equal((await verdictOf(scanner, eicarMessage()))?.kind, 'failed')
  await good.restart()
  await scanner.version?.()
  assert.equal((await verdictOf(scanner, plainMessage()))?.kind, 'failed', 'not proven again yet')
  await canary.look([scanner])
  assert.equal((await verdictOf(scanner, plainMessage()))?.kind, 'clean')
})

test('it is probed again, and gets mail once it sees', async () => {
  await using healing = await startClamd({ signatures: WITHOUT_EICAR })
  await using scanner = await clamavOf(healing.unix)
  const canary = canaryOf()
  await canary.look([scanner])
  assert.ok(canary.isRestless())
  const signature = `Eicar-Test-Signature:0:*:${Buffer.from(EICAR).toString('hex')}\n`
  await writeFile(path.join(healing.folder, 'signatures', 'eicar.ndb'), signature)
  await healing.restart()
  await canary.look([scanner])
  assert.deepEqual(canary.passed, whether(true))
  assert.equal((await verdictOf(scanner, eicarMessage()))?.kind, 'infected')
})

test('an engine that does not answer proves nothing: it is not trusted, nor called a liar', async () => {
  await using scanner = await clamavOf('tcp:127.0.0.1:1')
  const canary = canaryOf()
  await canary.look([scanner])
  assert.deepEqual(canary.passed, whether(false))
  assert.deepEqual([canary.failing, canary.reasons([scanner])], [{}, []])
  assert.ok(canary.isRestless())
})

test('a change of version or signatures makes it due at once; otherwise it is left alone', async () => {
  await using scanner = await clamavOf(good.unix)
  let probes = 0
  const counted: Scanner = {
    ...scanner,
    scan(message, signal, probe) {
      probes++
      return scanner.scan(message, signal, probe)
    },
  }
  const canary = canaryOf()
  canary.isNow(counted, 'ClamAV 1/1')
  await canary.look([counted])
  const first = probes
  assert.equal(first, 6, 'three for the member, three past all scanners')
  canary.isNow(counted, 'ClamAV 1/1')
  await canary.look([counted])
  assert.equal(probes, first)
  canary.isNow(counted, 'ClamAV 1/2')
  await canary.look([counted])
  assert.equal(probes, first + 3)
})

test('switched off, every engine is trusted', async () => {
  await using scanner = await clamavOf(blind.unix)
  const canary = canaryOf({ everySeconds: 0, gtube: true })
  await canary.look([scanner])
  canary.isNow(scanner, 'a')
  canary.isNow(scanner, 'b')
  assert.equal((await verdictOf(scanner, plainMessage()))?.kind, 'clean')
  assert.deepEqual(canary.passed, {})
})

test('a waiting scan is told when the last trusted address goes', async () => {
  await using scanner = await createClamav({
    ...{
      addresses: [blind.unix],
      concurrency: 1,
      deadlineMs: 20_000,
      restMs: 0,
      heuristics: {},
      wholeMessage: false,
    },
  })
  blind.signal('SIGSTOP')
  try {
    const both = [verdictOf(scanner, plainMessage()), verdictOf(scanner, plainMessage())]
    setTimeout(() => scanner.trust?.(blind.unix, false), 200)
    // Either of them may have come first; the other one waits.
    const verdict = await Promise.race(both)
    assert.equal(verdict?.kind === 'failed' && verdict.failure, 'down')
    blind.signal('SIGCONT')
    await Promise.all(both)
  } finally {
    blind.signal('SIGCONT')
  }
})

test('rspamd and SpamAssassin must know GTUBE; rspamd keeps no count of it', async () => {
  await using rspamd = await startRspamd({ logLevel: 'info' })
  await using spamd = await startSpamd()
  const settings = { concurrency: 4, deadlineMs: 20_000 }
  await using first = await createRspamd({ url: rspamd.url, ...settings })
  await using second = await createSpamassassin({
    ...{ address: spamd.address, maxSizeBytes: 500_000, ...settings },
  })
  const canary = canaryOf()
  await canary.look([first, second])
  assert.deepEqual(canary.passed, { gtube: true, clean: true })
  assert.deepEqual(canary.failing, { [rspamd.url]: false, [spamd.address]: false })
  assert.doesNotMatch(rspamd.output(), /rspamd_task_write_log/)
  assert.equal((await verdictOf(first, plainMessage()))?.kind, 'scored')
  assert.match(rspamd.output(), /rspamd_task_write_log/)
})
