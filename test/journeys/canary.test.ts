// A clamd that does not know EICAR lets nothing pass: not ready, 451, until it knows better; and metrics tell.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { EICAR, eicarMessage } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { WITHOUT_EICAR } from '../support/servers/clamd.ts'
import { ending, startWorld, type World } from '../support/world.ts'

let world: World
before(async () => {
  world = await startWorld({
    clamd: { signatures: WITHOUT_EICAR },
    rspamd: true,
    waitReady: false,
  })
})
after(() => world[Symbol.asyncDispose]())

const success = async (probe: string) =>
  (await world.gateway.metrics())('sallyport_canary_success', { probe })

test('not ready, and nothing is relayed', async () => {
  const { gateway } = world
  const reason = async () => (await gateway.health('ready').catch(() => undefined))?.text ?? ''
  await until(
    'the reason',
    async () => (await reason()).includes('clamav fails its canary'),
    60_000,
  )
  assert.equal(ending(await world.send()), '451 4.7.1')
  assert.equal(ending(await world.send({ content: eicarMessage() })), '451 4.7.1')
  assert.equal(world.nextHop.received.length, 0)
  assert.deepEqual(await Promise.all(['eicar', 'eicar-zip'].map(success)), [0, 0])
  assert.equal(await success('gtube'), 1)
  const samples = await gateway.metrics()
  const labels = { engine: 'clamav' }
  assert.equal(samples('sallyport_canary_engine_success', labels), 0)
  assert.equal(samples('sallyport_engine_up', labels), 0)
  const line = gateway.log('canaryFailed').find(each => each.engine === 'clamav')
  assert.deepEqual([line?.level, line?.failing], ['error', true], gateway.output())
})

test('once it knows, mail flows and viruses are refused', async () => {
  const signature = `Eicar-Test-Signature:0:*:${Buffer.from(EICAR).toString('hex')}\n`
  await writeFile(path.join(world.clamd.folder, 'signatures', 'eicar.ndb'), signature)
  await world.clamd.restart()
  await world.gateway.ready()
  await world.flows()
  assert.equal(ending(await world.send({ content: eicarMessage() })), '550 5.7.1')
  const probes = ['eicar', 'eicar-zip', 'gtube', 'clean']
  await until('all canaries', async () =>
    (await Promise.all(probes.map(success))).every(v => v === 1),
  )
})
