// An engine that is down, or hangs, never lets mail pass unscanned; once it answers again, mail flows.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eicarMessage, plainMessage } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { ending, ledgerOf, startWorld, type World } from '../support/world.ts'

let world: World
before(async () => {
  world = await startWorld({
    config: { hold: { seconds: 20 } },
    clamav: { deadlineMs: 1500 },
  })
})
after(() => world[Symbol.asyncDispose]())

test('clamd down: 451 4.7.1, nothing relayed, nothing kept; up again: 250', async () => {
  await world.clamd.stop()
  assert.equal(ending(await world.send()), '451 4.7.1')
  assert.equal(world.nextHop.received.length, 0)
  assert.deepEqual(await world.gateway.spooled('queued'), [])
  await world.clamd.restart()
  await world.flows()
  assert.equal(ending(await world.send({ content: eicarMessage() })), '550 5.7.1')
})

test('clamd hangs: the message is held in custody, scanned when it answers, and arrives', async () => {
  const content = plainMessage({ id: 'slow@sender.test' })
  world.clamd.signal('SIGSTOP')
  const sent = await world.send({ content })
  world.clamd.signal('SIGCONT')
  assert.match(ending(sent), /^250/)
  await until('the message to arrive', () => world.arrived('slow@sender.test').length > 0, 30_000)
  await world.settled()
  assert.equal(world.arrived('slow@sender.test').length, 1)
})

test('a virus in custody is quarantined when the engine answers again, and never relayed', async () => {
  const content = eicarMessage({ id: 'held-virus@sender.test' })
  world.clamd.signal('SIGSTOP')
  const sent = await world.send({ content })
  world.clamd.signal('SIGCONT')
  assert.match(ending(sent), /^250/)
  await world.settled()
  assert.equal(world.arrived('held-virus@sender.test').length, 0)
  const ledger = await ledgerOf(world.gateway)
  assert.equal(ledger.quarantined, 1, JSON.stringify(ledger))
  assert.equal(ledger.missing, 0, JSON.stringify(ledger))
})
