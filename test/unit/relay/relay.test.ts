// A relay job: for whom it does what, what it writes down, and that nobody else acts meanwhile.
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { Envelope } from '../../../gateway/message.ts'
import type { RelayOutcome } from '../../../gateway/outcome.ts'
import { until } from '../../support/process.ts'
import { all, outcome, plan, type Relaying, startRelaying } from '../../support/relaying.ts'

let relaying: Relaying
before(async () => {
  relaying = await startRelaying()
})
after(() => relaying[Symbol.asyncDispose]())
beforeEach(() => {
  Object.assign(relaying, { orders: [], hints: [], swept: [], deliver: all('relayed') })
})

const soon = () => ({ attempt: 1, replyTo: 'session', deadline: Date.now() + 60_000 })
const endsIn = async ({ id }: Envelope) =>
  Object.fromEntries([...(await relaying.spool.log(id)).ends].map(([to, line]) => [to, line.end]))
const filesOf = async ({ id }: Envelope) =>
  (await relaying.spool.incoming()).filter(name => name.startsWith(id)).sort()

test('held: relayed, written down, told, and left for the session', async () => {
  const envelope = await relaying.message()
  await relaying.run({ ...soon(), envelope, plan: plan({ 'a@example.org': 'relay' }) })
  assert.deepEqual(await endsIn(envelope), { 'a@example.org': 'relayed' })
  assert.deepEqual(relaying.hints, [{ id: envelope.id, kind: 'settled' }])
  assert.deepEqual(await filesOf(envelope), [`${envelope.id}.eml`, `${envelope.id}.log`])
})

test('a job that comes after its deadline, or finds the message claimed or gone, does nothing', async () => {
  const envelope = await relaying.message()
  const job = { ...soon(), envelope, plan: plan({ 'a@example.org': 'relay' }) }
  await relaying.run({ ...job, deadline: Date.now() - 1 })
  const claim = await relaying.spool.claims.take(envelope.id)
  await relaying.run(job)
  await claim?.release()
  await relaying.spool.removeContent(envelope.id)
  await relaying.run(job)
  assert.deepEqual(relaying.orders, [])
  assert.deepEqual(await filesOf(envelope), [])
})

test('recipients share a transaction if next hop and fields are the same', async () => {
  const to = ['a@example.org', 'b@example.org', 'c@example.org', 'd@example.com']
  const envelope = await relaying.message(to)
  const decided = plan(Object.fromEntries(to.map(address => [address, 'relay' as const])))
  const third = decided.recipients[2]
  assert.ok(third)
  third.fields = ['X-Spam: yes']
  await relaying.run({ ...soon(), envelope, plan: decided })
  assert.deepEqual(
    relaying.orders.map(o => [o.nextHops.join(), o.fields, o.recipients.map(r => r.address)]),
    [
      ['smtp://127.0.0.1:1', [], ['a@example.org', 'b@example.org']],
      ['smtp://127.0.0.1:1', ['X-Spam: yes'], ['c@example.org']],
      ['smtp://127.0.0.1:2', [], ['d@example.com']],
    ],
  )
})

test('what is not to be relayed is quarantined, discarded or put off; reject means quarantine', async () => {
  const envelope = await relaying.custody([
    'keep@example.org',
    'reject@example.org',
    'drop@example.org',
    'wait@example.org',
  ])
  const decided = plan({
    'keep@example.org': 'quarantine',
    'reject@example.org': 'reject',
    'drop@example.org': 'discard',
    'wait@example.org': 'defer',
  })
  await relaying.run({ attempt: 1, envelope, plan: decided })
  assert.deepEqual(relaying.orders, [])
  assert.deepEqual(await endsIn(envelope), {
    'keep@example.org': 'quarantined',
    'reject@example.org': 'quarantined',
    'drop@example.org': 'discarded',
  })
  assert.equal((await relaying.quarantine.find(envelope.id)).length, 2)
  const log = await relaying.spool.log(envelope.id)
  assert.equal(log.attempt, 2)
  assert.ok(log.dueAt > Date.now())
  assert.equal(log.plan, undefined, 'who waits for a verdict is scanned again')
  assert.equal(await relaying.spool.inCustody(envelope.id), true)
  assert.deepEqual(relaying.swept, [envelope.id])
})

test('nobody decided, or not every scanner was asked: nothing is relayed', async () => {
  const envelope = await relaying.custody()
  await relaying.run({ attempt: 1, envelope, plan: plan({ 'other@example.org': 'relay' }) })
  relaying.config.scanners = { rspamd: { url: 'http://127.0.0.1:1' } } as never
  await relaying.run({ attempt: 1, envelope, plan: plan({ 'a@example.org': 'relay' }) })
  relaying.config.scanners = {}
  assert.deepEqual(relaying.orders, [])
  assert.equal((await relaying.spool.log(envelope.id)).deferred.size, 1)
})

test('still without a verdict when its time is up: quarantined', async () => {
  const receivedAt = Date.now() - relaying.config.retry.expire - 1
  const envelope = await relaying.custody(['a@example.org'], { receivedAt })
  await relaying.run({ attempt: 9, envelope, plan: plan({ 'a@example.org': 'defer' }) })
  assert.equal((await relaying.quarantine.find(envelope.id)).length, 1)
  assert.deepEqual(await filesOf(envelope), [])
})

test('in custody: only who is left is tried, and the last one ends it', async () => {
  const to = ['a@example.org', 'b@example.org']
  const envelope = await relaying.custody(to)
  const decided = plan({ 'a@example.org': 'relay', 'b@example.org': 'relay' })
  relaying.deliver = () => [
    outcome('a@example.org', 'relayed'),
    outcome('b@example.org', 'deferred'),
  ]
  await relaying.run({ attempt: 1, envelope, plan: decided })
  assert.deepEqual((await relaying.spool.log(envelope.id)).plan, decided)
  relaying.deliver = all('relayed')
  await relaying.run({ attempt: 2, envelope, plan: decided })
  assert.deepEqual(
    relaying.orders[1]?.recipients.map(r => r.address),
    ['b@example.org'],
  )
  assert.equal(await relaying.spool.inCustody(envelope.id), false)
  assert.deepEqual(await filesOf(envelope), [])
  assert.equal(relaying.events.of('custodyEnded').at(-1)?.recipients, 2)
})

test('in custody: where one word ends it for all, that the envelope is gone says so, and no log', async () => {
  await using alone = await startRelaying()
  const written: string[] = []
  const { append } = alone.spool
  alone.spool.append = (id, lines) => {
    written.push(...lines.map(line => line.kind))
    return append(id, lines)
  }
  const to = ['a@example.org', 'b@example.org']
  const envelope = await alone.custody(to)
  const decided = plan({ 'a@example.org': 'relay', 'b@example.org': 'relay' })
  await alone.run({ attempt: 1, envelope, plan: decided })
  assert.deepEqual(written, [])
  assert.equal(await alone.spool.inCustody(envelope.id), false)
  assert.deepEqual(alone.events.of('custodyEnded').at(-1)?.ends, {
    ...{ relayed: 2, quarantined: 0, discarded: 0, notified: 0 },
  })
  const other = await alone.custody(['a@example.org', 'b@example.com'])
  const apart = plan({ 'a@example.org': 'relay', 'b@example.com': 'relay' })
  await alone.run({ attempt: 1, envelope: other, plan: apart })
  assert.deepEqual(written, ['end', 'end'])
  assert.equal(await alone.spool.inCustody(other.id), false)
})

test('custody ends while its client has not heard: the log stays for the retry', async () => {
  const envelope = await relaying.custody()
  const { entry } = await relaying.spool.unanswered.enter(envelope.fingerprint, envelope.id)
  await entry?.leave()
  await relaying.run({ attempt: 1, envelope, plan: plan({ 'a@example.org': 'relay' }) })
  assert.equal(await relaying.spool.inCustody(envelope.id), false)
  assert.deepEqual(await filesOf(envelope), [`${envelope.id}.log`])
})

test('in custody without content: set aside, and told', async () => {
  const envelope = await relaying.custody()
  await relaying.spool.removeContent(envelope.id)
  await relaying.run({ attempt: 1, envelope, plan: plan({ 'a@example.org': 'relay' }) })
  assert.equal(await relaying.spool.inCustody(envelope.id), false)
  assert.equal(relaying.events.of('spoolCorrupt').length, 1)
  const names = await readdir(path.join(relaying.folder, 'corrupt'))
  assert.ok(names.some(name => name.startsWith(`${envelope.id}.json`)))
})

test('the quarantine fails while a next hop is about to answer: nobody gets the claim before it has', async () => {
  await using failing = await startRelaying()
  failing.quarantine.keep = () => Promise.reject(new Error('ENOSPC'))
  const answer = Promise.withResolvers<RelayOutcome[]>()
  failing.deliver = () => answer.promise
  const envelope = await failing.custody(['a@example.org', 'b@example.org'])
  const decided = plan({ 'a@example.org': 'relay', 'b@example.org': 'quarantine' })
  const running = failing.run({ attempt: 1, envelope, plan: decided }).catch(String)
  await until('the delivery', () => failing.orders.length > 0)
  await new Promise(resolve => setTimeout(resolve, 100))
  assert.equal(await failing.orders[0]?.mayFinish(), true)
  assert.equal(await failing.spool.claims.take(envelope.id), undefined)
  answer.resolve([outcome('a@example.org', 'relayed')])
  assert.match(String(await running), /ENOSPC/)
  assert.deepEqual([...(await failing.spool.log(envelope.id)).ends.keys()], ['a@example.org'])
  assert.equal(await failing.spool.claims.held(envelope.id), false)
})

test('an outcome that cannot be written down keeps the claim until it can: one copy', async () => {
  await using full = await startRelaying()
  const envelope = await full.custody()
  const { append, endCustody } = full.spool
  const broken = () => Promise.reject(new Error('EIO'))
  Object.assign(full.spool, { append: broken, endCustody: broken })
  const job = { attempt: 1, envelope, plan: plan({ 'a@example.org': 'relay' }) }
  const running = full.run(job)
  await until('the disk to be full', () => full.events.of('warned').length > 0)
  await full.run(job)
  Object.assign(full.spool, { append, endCustody })
  await running
  assert.equal(full.orders.length, 1)
  assert.equal(await full.spool.inCustody(envelope.id), false)
  assert.equal(full.events.of('warned').at(-1)?.over, true)
})
