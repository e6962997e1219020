// Whatever is stopped, killed or emptied: what was acknowledged arrives.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { connectSmtp, type Sent } from '../support/client.ts'
import { plainMessage } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { ending, ledgerOf, startWorld, type World } from '../support/world.ts'

let world: World
beforeEach(async () => {
  world = await startWorld({ config: { hold: { seconds: 2 } } })
})
afterEach(() => world[Symbol.asyncDispose]())

const message = (id: string) => plainMessage({ id: `${id}@sender.test` })
const copies = (id: string) => world.arrived(`${id}@sender.test`).length

/** Sends `count` messages at once while the next hop is down: all end in custody. */
async function fillCustody(count: number): Promise<string[]> {
  await world.nextHop.stop()
  const ids = Array.from({ length: count }, (_, i) => `custody-${i}`)
  const sent = await Promise.all(ids.map(id => world.send({ content: message(id) })))
  assert.deepEqual(new Set(sent.map(each => ending(each).slice(0, 3))), new Set(['250']))
  assert.equal((await world.gateway.spooled('queued')).length, count)
  return ids
}

async function allArrive(ids: string[]) {
  await until('everything acknowledged to arrive', () => ids.every(id => copies(id) > 0), 60_000)
  await world.settled()
  assert.deepEqual(
    ids.filter(id => copies(id) !== 1),
    [],
    'one copy of each',
  )
}

test('kill -9 of everything with mail in custody: it arrives after a restart', async () => {
  const ids = await fillCustody(5)
  await world.gateway.kill()
  await world.nextHop.restart()
  await world.gateway.restart()
  await allArrive(ids)
  const ledger = await ledgerOf(world.gateway)
  assert.equal(ledger.missing, 0, JSON.stringify(ledger))
})

test('Redis killed and restarted empty: mail in custody arrives', async () => {
  const ids = await fillCustody(5)
  await world.redis.restart({ empty: true })
  await world.nextHop.restart()
  await allArrive(ids)
  await world.flows()
})

test('Redis down: nothing is acknowledged that could be lost, and mail flows when it is back', async () => {
  await world.redis.kill()
  const sent = await world.send({ content: message('redis-down') }).catch(() => undefined)
  const said = sent === undefined ? '421' : ending(sent)
  assert.match(said, /^(4|250)/)
  await world.redis.restart()
  if (said.startsWith('250')) await allArrive(['redis-down'])
  await world.flows()
})

test('SIGTERM with mail in flight: exit 0, every 250 arrives, nobody is left without a word', async () => {
  world.nextHop.behave({ dot: { delayMs: 700 } })
  const ids = Array.from({ length: 20 }, (_, i) => `flight-${i}`)
  const outcomes = ids.map(id =>
    world.send({ content: message(id) }).then(
      (sent): [string, Sent | undefined] => [id, sent],
      (): [string, Sent | undefined] => [id, undefined],
    ),
  )
  await until('the first to be on its way', () => world.nextHop.commands.includes('DATA'))
  assert.equal(await world.gateway.stop(), 0)
  const ended = await Promise.all(outcomes)
  const acknowledged = ended.filter(([, sent]) => sent?.dot?.code === 250).map(([id]) => id)
  assert.ok(acknowledged.length > 0)
  world.nextHop.behave({})
  await world.gateway.restart()
  await allArrive(acknowledged)
})

test('SIGTERM waits for no idle client: it hears 421', async () => {
  using client = await connectSmtp({ port: world.gateway.port })
  await client.command('EHLO client.test')
  const started = Date.now()
  assert.equal(await world.gateway.stop(), 0)
  assert.ok(Date.now() - started < 30_000)
  assert.equal((await client.read()).code, 421)
})
