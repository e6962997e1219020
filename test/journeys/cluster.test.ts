// Two receive workers and two scanning and relaying ones share the work, and nothing is lost or doubled between them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { plainMessage } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { ending, ledgerOf, startWorld, type World } from '../support/world.ts'

let world: World
before(async () => {
  world = await startWorld({ config: { processes: { receive: 2, work: 2 } } })
})
after(() => world[Symbol.asyncDispose]())

const sendMany = (name: string, count: number) =>
  Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const id = `${name}-${i}@sender.test`
      // A connection handed to a worker at the moment it is killed hears nothing, ever: Node.js keeps it.
      const mail = { content: plainMessage({ id }), patienceMs: 15_000 }
      const sent = await world.send(mail).catch(() => undefined)
      return { id, said: sent === undefined ? 'nothing' : ending(sent) }
    }),
  )

test('60 messages at once: each arrives once', async () => {
  const sent = await sendMany('many', 60)
  assert.deepEqual(
    sent.filter(({ said }) => !said.startsWith('250')),
    [],
  )
  await world.settled()
  assert.deepEqual(
    sent.filter(({ id }) => world.arrived(id).length !== 1),
    [],
  )
  const ledger = await ledgerOf(world.gateway)
  assert.deepEqual([ledger.accepted, ledger.relayed, ledger.missing], [60, 60, 0])
})

test('workers that died while Redis was away: those in their place are ready once it is back', async () => {
  const { gateway, redis } = world
  const said = async () => (await gateway.health('ready')).text
  await redis.kill()
  await until('it to be told', async () => (await said()).includes('Redis is not reachable'))
  const workers = gateway.pids().filter(pid => pid !== gateway.pid())
  for (const pid of workers) process.kill(pid, 'SIGKILL')
  await until('them to be gone', async () => (await said()).includes('starting'))
  await redis.restart()
  await gateway.ready(30_000)
  await world.flows()
})

test('every worker but the primary killed in the middle: every 250 arrives, and mail flows again', async () => {
  world.nextHop.behave({ dot: { delayMs: 300 } })
  const sending = sendMany('killed', 30)
  await until('work to be under way', () => world.nextHop.connections.open > 0)
  const { gateway } = world
  const workers = gateway.pids().filter(pid => pid !== gateway.pid())
  for (const pid of workers) process.kill(pid, 'SIGKILL')
  const sent = await sending
  world.nextHop.behave({})
  await world.flows()
  const acknowledged = sent.filter(({ said }) => said.startsWith('250'))
  await until(
    'every acknowledged message to arrive',
    () => acknowledged.every(({ id }) => world.arrived(id).length > 0),
    60_000,
  )
  await world.settled(60_000)
  assert.ok(gateway.pids().length > workers.length, 'the dead were replaced')
})
