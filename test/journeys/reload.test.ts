// A configuration read again never opens the door a crack: a scanner is not lost, and one added is asked about old mail.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { eicarMessage, plainMessage } from '../support/eicar.ts'
import type { GatewayConfig } from '../support/gateway.ts'
import { until } from '../support/process.ts'
import { ending, ledgerOf, startWorld, type World } from '../support/world.ts'

let world: World
before(async () => {
  world = await startWorld({ config: { scanners: {}, hold: { seconds: 5 } } })
})
after(() => world[Symbol.asyncDispose]())

/** Writes the change into the file, sends SIGHUP, and answers what came of it. */
async function reload(change: Partial<GatewayConfig>): Promise<unknown> {
  const { gateway } = world
  const config = parse(await readFile(gateway.configFile, 'utf8'))
  await writeFile(gateway.configFile, stringify({ ...config, ...change }))
  const before = gateway.log('configReloaded').length
  gateway.signal('SIGHUP')
  const news = await until('the reload', () => gateway.log('configReloaded')[before])
  return news.result
}

test('mail in custody without a scanner is scanned once there is one, before it is relayed', async () => {
  await world.nextHop.stop()
  assert.match(
    ending(await world.send({ content: eicarMessage({ id: 'old@sender.test' }) })),
    /^250/,
  )
  assert.equal(await reload({ scanners: { clamav: { addresses: [world.clamd.unix] } } }), 'applied')
  await world.nextHop.restart()
  await world.settled()
  assert.equal(world.arrived('old@sender.test').length, 0)
  const ledger = await ledgerOf(world.gateway)
  assert.deepEqual([ledger.quarantined, ledger.missing], [1, 0], JSON.stringify(ledger))
})

test('what takes a restart is named, and named no more once it is as it was', async () => {
  const said = () => world.gateway.log('warned').filter(line => line.name === 'restart')
  const { state } = parse(await readFile(world.gateway.configFile, 'utf8'))
  assert.equal(await reload({ state: `${state}-elsewhere` }), 'applied')
  const warning = await until('the warning', () => said().find(line => line.over === false))
  assert.match(String(warning.text), /`state`/)
  assert.match(ending(await world.send({ content: plainMessage() })), /^250/)
  assert.equal(await reload({ state }), 'applied')
  await until('its end', () => said().at(-1)?.over === true)
})

test('what would take an embedded clamd that was not started is refused; the old scanner stays', async () => {
  assert.equal(await reload({ scanners: { clamav: 'embedded' } }), 'refused')
  assert.equal(ending(await world.send({ content: eicarMessage() })), '550 5.7.1')
  assert.match(ending(await world.send({ content: plainMessage() })), /^250/)
})
