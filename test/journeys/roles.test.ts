// Each role as a service of its own, and two gateways on one spool: whoever is killed, what was acknowledged arrives once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accountOf } from '../chaos/account.ts'
import { runClient } from '../chaos/client.ts'
import type { ChaosGateway } from '../chaos/gateway.ts'
import { createRecord, type Record } from '../chaos/record.ts'
import { ledgerOf, quarantinedIn, settled } from '../chaos/run.ts'
import { type Layout, type Stage, setStage } from '../chaos/stage.ts'
import { until } from '../support/process.ts'

const CLIENTS = 6

/** Clients send until `harm` is done; answers the account once everything has ended. */
async function under(layout: Layout, harm: (stage: Stage, record: Record) => Promise<void>) {
  const record = createRecord()
  await using stage = await setStage(record, { seed: 1, layout, rspamd: false })
  const enough = new AbortController()
  const over = AbortSignal.timeout(60_000)
  let numbers = 0
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    runClient({
      ...{ name: `client ${i}`, seed: 1, ports: stage.ports, record, over },
      number: () => ++numbers,
      enough: enough.signal,
    }),
  )
  await harm(stage, record).finally(() => enough.abort())
  await Promise.all(clients)
  assert.notEqual(await settled(stage, Date.now()), undefined, 'everything comes to its end')
  const ledger = await ledgerOf(stage)
  assert.deepEqual([ledger.missing, ledger.unaccounted], [0, 0])
  const account = accountOf(record, await quarantinedIn(stage.states))
  assert.ok(account.acknowledged > 0)
  assert.deepEqual([account.lost, account.altered, account.infectedInside], [[], [], []])
  return account
}

/** As one that notes when, so that a copy is excused where what the next hop said was not written down. */
async function killed({ disturbances }: Record, gateway: ChaosGateway): Promise<void> {
  disturbances.push({ from: Date.now(), to: Date.now() })
  await gateway.kill()
}

const flowing = async (record: Record, least = 3) => {
  const before = record.told.acknowledged
  await until('mail to flow', () => record.told.acknowledged >= before + least, 30_000)
}

test('receive, scan and relay apart, each killed in turn and started again', async () => {
  const account = await under('roles', async ({ gateways }, record) => {
    for (const gateway of gateways) {
      await flowing(record)
      await killed(record, gateway)
      await gateway.start()
    }
    await flowing(record)
  })
  assert.deepEqual(account.unexcused, [])
})

test('two gateways on one Redis and one spool, one killed for good: the other finishes', async () => {
  const account = await under('two', async (stage, record) => {
    await stage.inbox.down()
    await flowing(record, 10)
    const [first] = stage.gateways.splice(0, 1)
    assert.ok(first)
    await killed(record, first)
    await stage.inbox.up()
    await flowing(record)
  })
  assert.deepEqual(account.unexcused, [])
})
