// What the next hop says becomes the client's reply while it waits, and custody where it takes too long.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { plainMessage } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { addedTo, ending, ledgerOf, startWorld, type World } from '../support/world.ts'

let world: World
before(async () => {
  world = await startWorld({ config: { hold: { seconds: 1 } } })
})
after(() => world[Symbol.asyncDispose]())
beforeEach(() => world.nextHop.behave({}))

const arrival = (id: string, timeoutMs = 30_000) =>
  until(`${id} to arrive`, () => world.arrived(id)[0], timeoutMs)

test('down: 250 after custody, and the message arrives once it is up', async () => {
  const content = plainMessage({ id: 'down@sender.test' })
  await world.nextHop.stop()
  const sent = await world.send({ content })
  assert.match(ending(sent), /^250/)
  assert.deepEqual(await world.gateway.spooled('queued'), [`${sent.dot?.id}.json`])
  await world.nextHop.restart()
  assert.notEqual(addedTo(content, await arrival('down@sender.test')), undefined)
  await world.settled()
  assert.equal(world.arrived('down@sender.test').length, 1)
})

test('takes longer than the hold time: 250 with custody, then one copy arrives', async () => {
  const content = plainMessage({ id: 'held@sender.test' })
  world.nextHop.behave({ dot: { delayMs: 4000 } })
  const sent = await world.send({ content })
  assert.match(ending(sent), /^250/)
  assert.ok(
    (sent.dot?.tookMs ?? 0) >= 900 && (sent.dot?.tookMs ?? 0) < 3500,
    `${sent.dot?.tookMs} ms`,
  )
  await world.settled()
  assert.equal(world.arrived('held@sender.test').length, 1)
})

test('refuses the only recipient: its code in the session, in our words, nothing kept', async () => {
  world.nextHop.behave({ rcpt: '552 5.2.2 Mailbox of Bob at /var/mail is full' })
  const sent = await world.send({ content: plainMessage({ id: 'full@sender.test' }) })
  assert.match(ending(sent), /^552 5\.2\.2$/)
  assert.doesNotMatch(sent.dot?.text ?? '', /var\/mail/)
  assert.deepEqual(await world.gateway.spooled('queued'), [])
})

test('refuses the content: 5xx in the session', async () => {
  world.nextHop.behave({ dot: '554 5.6.0 We do not like this' })
  assert.match(ending(await world.send()), /^554 5\.6\.0$/)
  assert.deepEqual(await world.gateway.spooled('queued'), [])
})

test('refuses one of two: 250, the other has it, the refused one ends as undeliverable', async () => {
  const content = plainMessage({ id: 'one-of-two@sender.test' })
  world.nextHop.behave({
    rcpt: address => (address.startsWith('carol') ? '550 5.1.1 No Carol' : undefined),
  })
  const before = await ledgerOf(world.gateway)
  const sent = await world.send({ content, to: ['bob@example.org', 'carol@example.org'] })
  assert.match(ending(sent), /^250/)
  await world.settled()
  assert.deepEqual(
    world.arrived('one-of-two@sender.test').map(mail => mail.rcptTo),
    [['bob@example.org']],
  )
  const ledger = await ledgerOf(world.gateway)
  assert.equal((ledger.quarantined ?? 0) - (before.quarantined ?? 0), 1)
  assert.equal(ledger.missing, 0, JSON.stringify(ledger))
})

test('says 4xx: custody, and a retry delivers', async () => {
  const content = plainMessage({ id: 'later@sender.test' })
  world.nextHop.behave({ rcpt: '450 4.2.1 Try later' })
  const sent = await world.send({ content })
  assert.match(ending(sent), /^250/)
  await until('a first attempt to be put off', () =>
    world.gateway.log('retryScheduled').some(line => line.id === sent.dot?.id),
  )
  world.nextHop.behave({})
  await arrival('later@sender.test')
  await world.settled()
  assert.equal(world.arrived('later@sender.test').length, 1)
})

test('the accounts add up', async () => {
  await world.settled()
  const ledger = await ledgerOf(world.gateway)
  assert.equal(ledger.missing, 0, JSON.stringify(ledger))
  assert.equal(ledger.custody, 0)
})
