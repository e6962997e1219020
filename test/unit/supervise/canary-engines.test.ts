// Canaries past c-icap and clamscan, for real: who calls EICAR clean gets no mail, and gets it again once it knows.
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { commandSettings, createCommand } from '../../../scanners/command/command.ts'
import { createIcap, icapSettings } from '../../../scanners/icap/icap.ts'
import type { Scanner } from '../../../scanners/scanner.ts'
import { EICAR, eicarMessage, eicarZipMessage, plainMessage } from '../../support/eicar.ts'
import { type Clamd, startClamd, WITHOUT_EICAR } from '../../support/servers/clamd.ts'
import { type Icap, startIcap } from '../../support/servers/icap.ts'
import { type Messages, messages } from '../scanners/fixtures.ts'
import { judged, toldCanary, whether } from './canaries.ts'

const SIGNATURE = `Eicar-Test-Signature:0:*:${Buffer.from(EICAR).toString('hex')}\n`
const services = new AsyncDisposableStack()
let good: Icap
let blind: Icap
let healing: Clamd
let spool: Messages
before(async () => {
  const [seeing, other, written] = await Promise.all([
    startClamd(),
    startClamd({ signatures: WITHOUT_EICAR }),
    messages(),
  ])
  services.use(written)
  healing = services.use(other)
  ;[good, blind] = await Promise.all([startIcap(services.use(seeing)), startIcap(healing)])
  services.use(good)
  services.use(blind)
  spool = written
})
after(() => services[Symbol.asyncDispose]())

const canaryOf = () => toldCanary(path.join(spool.path, 'canary'))
const icapOf = (...urls: string[]) =>
  createIcap('icap-test', icapSettings.parse({ urls, deadlineMs: 5000, restMs: 0 }))
const verdictOf = (scanner: Scanner, content: Buffer) => judged(spool, scanner, content)
async function isDown(scanner: Scanner, content: Buffer, cause: RegExp): Promise<void> {
  const verdict = await verdictOf(scanner, content)
  assert.ok(verdict?.kind === 'failed' && verdict.failure === 'down', JSON.stringify(verdict))
  assert.match(verdict.cause, cause)
}

test('an ICAP service that sees passes', async () => {
  await using scanner = await icapOf(good.url)
  const canary = canaryOf()
  await canary.look([scanner])
  assert.deepEqual([canary.passed, canary.failing], [whether(true), { [good.url]: false }])
  assert.deepEqual([canary.reasons([scanner]), canary.isRestless()], [[], false])
  assert.equal((await verdictOf(scanner, plainMessage()))?.kind, 'clean')
})

test('one that never says anything of a virus is down, for clean mail too', async () => {
  for (const url of [blind.url, good.echoUrl]) {
    await using scanner = await icapOf(url)
    assert.equal((await verdictOf(scanner, eicarMessage()))?.kind, 'clean', 'it lies')
    const canary = canaryOf()
    await canary.look([scanner])
    assert.deepEqual([canary.passed, canary.failing], [whether(false), { [url]: true }])
    assert.deepEqual(canary.reasons([scanner]), ['icap-test fails its canary'])
    assert.deepEqual(scanner.engines(), [{ address: url, up: false }])
    await isDown(scanner, plainMessage(), /no server has passed its canary/)
  }
})

test('of two servers the blind one gets no mail, even while the other is gone', async () => {
  await using scanner = await icapOf(blind.url, good.url)
  const canary = canaryOf()
  await canary.look([scanner])
  assert.deepEqual(canary.failing, { [blind.url]: true, [good.url]: false })
  const verdicts = await Promise.all(
    Array.from({ length: 12 }, () => verdictOf(scanner, eicarMessage())),
  )
  assert.ok(verdicts.every(verdict => verdict?.kind === 'infected'))
  await good.stop()
  assert.equal((await verdictOf(scanner, eicarMessage()))?.kind, 'failed')
  await scanner.version?.()
  await isDown(scanner, eicarMessage(), /no server has passed/)
  await good.restart()
  await scanner.version?.()
  await isDown(scanner, plainMessage(), /no server has passed/)
  await canary.look([scanner])
  assert.equal((await verdictOf(scanner, plainMessage()))?.kind, 'clean')
})

test('once the clamd behind it was gone it must be proven again, and is when it knows EICAR', async () => {
  const file = path.join(healing.folder, 'signatures', 'eicar.ndb')
  await writeFile(file, SIGNATURE)
  await healing.restart()
  await using scanner = await icapOf(blind.url)
  const canary = canaryOf()
  await canary.look([scanner])
  assert.deepEqual(canary.passed, whether(true))
  await healing.stop()
  assert.equal((await verdictOf(scanner, plainMessage()))?.kind, 'failed')
  await writeFile(file, WITHOUT_EICAR)
  await healing.restart()
  await scanner.version?.()
  await isDown(scanner, eicarMessage(), /no server has passed/)
  await canary.look([scanner])
  assert.deepEqual([canary.passed, canary.isRestless()], [whether(false), true])
  await writeFile(file, SIGNATURE)
  await healing.restart()
  await canary.look([scanner])
  assert.deepEqual(canary.passed, whether(true))
  assert.equal((await verdictOf(scanner, eicarMessage()))?.kind, 'infected')
  assert.equal((await verdictOf(scanner, plainMessage()))?.kind, 'clean')
})

async function clamscanOf(signatures: string, target: string): Promise<Scanner> {
  const folder = path.join(spool.path, 'signatures')
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, 'own.ndb'), signatures)
  return createCommand(
    'command-test',
    commandSettings.parse({
      program: '/usr/bin/clamscan',
      arguments: ['--no-summary', '--recursive', `--database=${folder}`, target],
      exitCodes: { 0: 'clean', 1: 'infected' },
      scratch: spool.path,
      concurrency: 1,
    }),
  )
}

for (const target of ['{folder}', '{file}'])
  test(`clamscan over a ${target} that does not know EICAR: down, until it does`, async () => {
    await using scanner = await clamscanOf(WITHOUT_EICAR, target)
    assert.equal((await verdictOf(scanner, eicarMessage()))?.kind, 'clean', 'it lies')
    const canary = canaryOf()
    await canary.look([scanner])
    const program = '/usr/bin/clamscan'
    assert.deepEqual([canary.passed, canary.failing], [whether(false), { [program]: true }])
    assert.deepEqual(canary.reasons([scanner]), ['command-test fails its canary'])
    assert.deepEqual(scanner.engines(), [{ address: program, up: false }])
    await isDown(scanner, plainMessage(), /it has not passed its canary/)
    await using _seeing = await clamscanOf(SIGNATURE, target)
    await canary.look([scanner])
    assert.deepEqual([canary.passed, canary.reasons([scanner])], [whether(true), []])
    assert.equal((await verdictOf(scanner, eicarZipMessage()))?.kind, 'infected')
    assert.equal((await verdictOf(scanner, plainMessage()))?.kind, 'clean')
  })

test('a command whose exit codes are the wrong way round is never trusted', async () => {
  const exitCodes = { 0: 'infected', 1: 'clean' }
  const settings = { program: '/bin/true', arguments: ['{folder}'], exitCodes, scratch: spool.path }
  await using scanner = await createCommand('command-test', commandSettings.parse(settings))
  const canary = canaryOf()
  await canary.look([scanner])
  assert.deepEqual(canary.failing, { '/bin/true': true })
  await isDown(scanner, plainMessage(), /canary/)
})

test('one at a time, each taking much of its time: it passes all the same', async () => {
  const program = path.join(spool.path, 'slow-clamscan')
  const folder = path.join(spool.path, 'slow-signatures')
  await mkdir(folder)
  await writeFile(path.join(folder, 'own.ndb'), SIGNATURE)
  const scan = `exec clamscan --no-summary --recursive --database=${folder} "$1"`
  await writeFile(program, `#!/bin/sh\nsleep 0.8\n${scan}\n`, { mode: 0o755 })
  const exitCodes = { 0: 'clean', 1: 'infected' }
  const settings = { program, arguments: ['{folder}'], exitCodes, scratch: spool.path }
  const slow = { ...settings, concurrency: 1, deadlineMs: 2300 }
  await using scanner = await createCommand('command-test', commandSettings.parse(slow))
  const canary = canaryOf()
  await canary.look([scanner])
  assert.deepEqual(canary.failing, { [program]: false })
  assert.deepEqual(canary.passed, whether(true))
})
