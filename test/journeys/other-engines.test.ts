// c-icap and clamscan instead of clamd, and beside it: a virus is refused, clean mail arrives, none of them may be gone.
import assert from 'node:assert/strict'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { attachment, EICAR, eicarMessage, eicarZipMessage } from '../support/eicar.ts'
import type { GatewayConfig } from '../support/gateway.ts'
import { type Folder, temporaryFolder, until } from '../support/process.ts'
import { type Clamd, startClamd, WITHOUT_EICAR } from '../support/servers/clamd.ts'
import { type Icap, startIcap } from '../support/servers/icap.ts'
import { addedTo, ending, ledgerOf, startWorld, type World } from '../support/world.ts'

let clamd: Clamd
let icap: Icap
let folder: Folder
before(async () => {
  ;[clamd, folder] = await Promise.all([startClamd(), temporaryFolder('engines')])
  icap = await startIcap(clamd)
  await mkdir(path.join(folder.path, 'signatures'))
  const signature = `Eicar-Test-Signature:0:*:${Buffer.from(EICAR).toString('hex')}\n`
  await writeFile(path.join(folder.path, 'signatures', 'eicar.ndb'), signature)
  await writeFile(program(), '#!/bin/sh\nexec /usr/bin/clamscan "$@"\n', { mode: 0o755 })
})
after(async () => {
  for (const each of [icap, clamd, folder]) await each[Symbol.asyncDispose]()
})

const program = () => path.join(folder.path, 'scan')
type Scanners = NonNullable<GatewayConfig['scanners']>
const overIcap = (url = icap.url): Scanners => ({ icap: { cicap: { urls: [url], restMs: 200 } } })
const byCommand = (): Scanners => ({
  command: {
    clamscan: {
      program: program(),
      arguments: [
        ...['--no-summary', '--recursive', '--alert-exceeds-max=yes'],
        ...[`--database=${path.join(folder.path, 'signatures')}`, '{folder}'],
      ],
      exitCodes: { 0: 'clean', 1: 'infected' },
      infectedName: ': (.+) FOUND$',
    },
  },
})
const byClamd = (): Scanners => ({ clamav: { addresses: [clamd.unix], restMs: 200 } })

type Gone = { stop(): Promise<void>; restart(): Promise<void> }
const cicapGone: Gone = { stop: () => icap.stop(), restart: () => icap.restart() }
const programGone: Gone = {
  stop: () => chmod(program(), 0o600),
  restart: () => chmod(program(), 0o755),
}

async function withoutIt(world: World, { stop, restart }: Gone, virus: RegExp): Promise<void> {
  const before = world.nextHop.received.length
  await stop()
  assert.equal(ending(await world.send()), '451 4.7.1')
  const ready = async () => (await world.gateway.health('ready')).status
  await until('it to be not ready', async () => (await ready()) === 503, 30_000)
  assert.match(ending(await world.send({ content: eicarMessage() })), virus)
  assert.equal(world.nextHop.received.length, before)
  assert.deepEqual(await world.gateway.spooled('queued'), [])
  await restart()
  await world.flows()
}

/** The last: what a virus is answered while it is gone, by whoever is left. */
const SETS: [string, () => Scanners, Gone, RegExp][] = [
  ['c-icap', overIcap, cicapGone, /^451/],
  ['clamscan', byCommand, programGone, /^451/],
  ['all three', () => ({ ...byClamd(), ...overIcap(), ...byCommand() }), programGone, /^550/],
]
for (const [what, scanners, gone, virus] of SETS)
  test(`${what}: EICAR refused, also in a zip; clean mail identical; without it 451`, async () => {
    await using world = await startWorld({ config: { scanners: scanners() } })
    for (const content of [eicarMessage(), eicarZipMessage()])
      assert.equal(ending(await world.send({ content })), '550 5.7.1')
    assert.equal(world.nextHop.received.length, 0)
    const id = `${what.replace(' ', '-')}@sender.test`
    const content = attachment({ id }, 'a.bin', Buffer.alloc(200_000, 'clean '))
    assert.equal(ending(await world.send({ content })), '250 2.0.0')
    assert.notEqual(addedTo(content, world.arrived(id)[0]), undefined)
    const metrics = await world.gateway.metrics()
    for (const probe of ['eicar', 'eicar-zip', 'clean'])
      assert.equal(metrics('sallyport_canary_success', { probe }), 1, probe)
    await withoutIt(world, gone, virus)
    assert.equal(ending(await world.send({ content: eicarMessage() })), '550 5.7.1')
    assert.equal((await ledgerOf(world.gateway)).missing, 0)
  })

test('the clamd behind c-icap gone, and back without its signatures: nothing passes', async () => {
  // Each process has its own view of the engines; with one, it is the one that found it down.
  const config = { scanners: overIcap(), processes: { receive: 1, work: 1 } }
  await using world = await startWorld({ config })
  await clamd.stop()
  assert.equal(ending(await world.send()), '451 4.7.1')
  const file = path.join(clamd.folder, 'signatures', 'eicar.ndb')
  const signature = `Eicar-Test-Signature:0:*:${Buffer.from(EICAR).toString('hex')}\n`
  await writeFile(file, WITHOUT_EICAR)
  await clamd.restart()
  const ready = async () => (await world.gateway.health('ready')).text
  await until('its canary', async () => (await ready()).includes('icap-cicap fails its canary'))
  const before = world.nextHop.received.length
  assert.equal(ending(await world.send()), '451 4.7.1')
  assert.equal(ending(await world.send({ content: eicarMessage() })), '451 4.7.1')
  assert.equal(world.nextHop.received.length, before)
  await writeFile(file, signature)
  await clamd.restart()
  await world.flows()
  assert.equal(ending(await world.send({ content: eicarMessage() })), '550 5.7.1')
})
