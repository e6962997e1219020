// The commit point from the session's side: what it says, what it leaves, and who may act, in every order of events.
import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Message } from '../../../gateway/message.ts'
import { reply } from '../../../gateway/reply.ts'
import type { End, LogLine } from '../../../gateway/spool/outcome-log.ts'
import { type Held, startHeld } from '../../support/held.ts'
import { until } from '../../support/process.ts'

let held: Held
before(async () => {
  held = await startHeld({ hold: { seconds: 1 } })
})
after(() => held[Symbol.asyncDispose]())
beforeEach(() => {
  held.config.hold.seconds = 1
})

const REFUSAL = reply(550, '5.1.1', 'Refused by the destination')

const end = (recipient: string, as: End): LogLine => ({
  kind: 'end',
  at: Date.now(),
  recipient,
  end: as,
  ...(as === 'refused' ? { reply: REFUSAL } : {}),
})
const deferred = (recipient: string): LogLine => ({
  kind: 'deferred',
  at: Date.now(),
  recipient,
  attempt: 2,
  dueAt: Date.now() + 60_000,
})

/** Plays the worker: takes the claim, writes, tells. */
async function work(message: Message, lines: LogLine[], tell = true): Promise<void> {
  const { id } = message.envelope
  const claim = await held.spool.claims.take(id)
  assert.ok(claim, 'the worker gets the claim')
  await held.spool.append(id, lines)
  await claim.release()
  if (tell) held.hints.tell(held.hints.address, { id, kind: 'settled' })
}

const left = async (id: string) =>
  (await held.spool.incoming()).filter(name => name.startsWith(id)).sort()

test('relayed: 250, and nothing is left once the client heard it', async () => {
  const message = await held.message()
  const { id } = message.envelope
  const carried = held.carry(message)
  await held.asked(message)
  await work(message, [end('a@example.org', 'relayed')])
  const answer = await carried
  assert.equal(answer.reply.code, 250)
  assert.deepEqual(await left(id), [`${id}.eml`, `${id}.log`])
  await answer.heard()
  assert.deepEqual(await left(id), [])
  assert.equal(await held.spool.inCustody(id), false)
})

test('a lost hint costs a second, not the mail', async () => {
  held.config.hold.seconds = 5
  const message = await held.message()
  const carried = held.carry(message)
  await held.asked(message)
  await work(message, [end('a@example.org', 'relayed')], false)
  const answer = await carried
  assert.equal(answer.reply.enhanced, '2.0.0')
  assert.equal(await held.spool.inCustody(message.envelope.id), false)
  await answer.heard()
})

test('refused for good by the next hop: its own code, and nothing is left', async () => {
  const message = await held.message()
  const carried = held.carry(message)
  await held.asked(message)
  await work(message, [end('a@example.org', 'refused')])
  assert.deepEqual((await carried).reply, REFUSAL)
  assert.deepEqual(await left(message.envelope.id), [])
})

test('one relayed, one refused: custody for the DSN, 250', async () => {
  const message = await held.message(['a@example.org', 'b@example.org'])
  const { id } = message.envelope
  const carried = held.carry(message)
  await held.asked(message)
  await work(message, [end('a@example.org', 'relayed'), end('b@example.org', 'refused')])
  assert.equal((await carried).reply.code, 250)
  assert.equal((await held.spool.envelope(id))?.recipients.length, 2)
})

test('deferred: custody, or 451 where the domain asks for it and nothing is settled', async () => {
  const kept = await held.message()
  const first = held.carry(kept)
  await held.asked(kept)
  await work(kept, [deferred('a@example.org')])
  assert.equal((await first).reply.code, 250)
  assert.equal(await held.spool.inCustody(kept.envelope.id), true)

  const asksAgain = await held.message(['a@later.example'], 'Subject: y\r\n\r\n')
  const second = held.carry(asksAgain)
  await held.asked(asksAgain)
  await work(asksAgain, [deferred('a@later.example')])
  assert.equal((await second).reply.code, 451)
  assert.deepEqual(await left(asksAgain.envelope.id), [])

  const mixed = await held.message(['a@later.example', 'b@later.example'], 'Subject: z\r\n\r\n')
  const third = held.carry(mixed)
  await held.asked(mixed)
  await work(mixed, [end('a@later.example', 'relayed'), deferred('b@later.example')])
  assert.equal((await third).reply.code, 250, '4xx is never said once anybody has it')
  assert.equal(await held.spool.inCustody(mixed.envelope.id), true)
})

test('no verdict: 4xx only with the claim in hand', async () => {
  const message = await held.message()
  const { id } = message.envelope
  const carried = held.carry(message)
  await held.asked(message)
  // A second run of the job has the claim: the first one's hint must not be believed.
  const claim = await held.spool.claims.take(id)
  held.hints.tell(held.hints.address, { id, kind: 'tempfail', reply: reply(451, '4.7.1', 'x') })
  await sleep(200)
  await held.spool.append(id, [end('a@example.org', 'relayed')])
  await claim?.release()
  held.hints.tell(held.hints.address, { id, kind: 'settled' })
  assert.equal((await carried).reply.code, 250)
})

test('refused by policy: the reply of the policy, and a late job finds nothing', async () => {
  const message = await held.message()
  const { id } = message.envelope
  const carried = held.carry(message)
  await held.asked(message)
  held.hints.tell(held.hints.address, { id, kind: 'reject', reply: reply(550, '5.7.1', 'virus') })
  assert.equal((await carried).reply.text, 'virus')
  assert.equal(await held.spool.content(id), undefined)
  assert.equal(await held.spool.claims.held(id), false)
})

test('held too long: custody, on disk, before 250', async () => {
  const message = await held.message()
  const startedAt = Date.now()
  const answer = await held.carry(message)
  assert.ok(Date.now() - startedAt >= 990)
  assert.equal(answer.reply.code, 250)
  assert.equal(await held.spool.inCustody(message.envelope.id), true)
  assert.deepEqual(await held.spool.envelope(message.envelope.id), message.envelope)
})

test('the hold ends while a worker has the claim: custody, and its outcome is still written', async () => {
  const message = await held.message()
  const { id } = message.envelope
  const carried = held.carry(message)
  await held.asked(message)
  const claim = await held.spool.claims.take(id)
  assert.equal((await carried).reply.code, 250)
  assert.equal(await claim?.stillHeld(), true, 'custody takes nothing from the worker')
  await held.spool.append(id, [end('a@example.org', 'relayed')])
  assert.equal((await held.spool.log(id)).ends.get('a@example.org')?.end, 'relayed')
  await claim?.release()
})

test('hold: 0 takes custody at once', async () => {
  held.config.hold.seconds = 0
  const message = await held.message()
  const answer = await held.carry(message)
  assert.equal(answer.reply.code, 250)
  assert.equal(await held.spool.inCustody(message.envelope.id), true)
})

test('the client goes before anybody acted: nothing is left', async () => {
  const message = await held.message()
  const leave = new AbortController()
  const carried = held.carry(message, leave.signal)
  await held.asked(message)
  leave.abort()
  await carried
  assert.deepEqual(await left(message.envelope.id), [])
})

test('the client goes while a worker relays: its retry gets 250 and no second copy', async () => {
  held.config.hold.seconds = 5
  const content = 'Subject: retry\r\n\r\n'
  const message = await held.message(['a@example.org'], content)
  const { id } = message.envelope
  const leave = new AbortController()
  const carried = held.carry(message, leave.signal)
  await held.asked(message)
  const claim = await held.spool.claims.take(id)
  leave.abort()
  await carried

  const retry = await held.message(['a@example.org', 'b@example.org'], content)
  const again = held.carry(retry)
  await sleep(100)
  await held.spool.append(id, [end('a@example.org', 'relayed')])
  await claim?.release()
  // Only the recipient that the first try didn't have is left to carry.
  await until('the earlier try to be seen', () => held.events.of('retryRecognised').length > 0)
  await held.asked(retry)
  await work(retry, [end('b@example.org', 'relayed')])
  const answer = await again
  assert.equal(answer.reply.code, 250)
  await answer.heard()
  assert.deepEqual(await left(id), [])
  assert.deepEqual(await left(retry.envelope.id), [])

  const onPurpose = await held.message(['a@example.org'], content)
  const third = held.carry(onPurpose)
  await held.asked(onPurpose)
  await work(onPurpose, [end('a@example.org', 'relayed')])
  await (await third).heard()
  assert.equal(held.events.of('retryRecognised').length, 1, 'acknowledged mail never matches')
})

test('250 for custody that the client never heard: the retry makes no second copy', async () => {
  const content = 'Subject: custody\r\n\r\n'
  const message = await held.message(['a@example.org'], content)
  await (await held.carry(message)).unheard()
  assert.equal(
    await held.spool.unanswered.has(message.envelope.fingerprint, message.envelope.id),
    true,
  )
  const retry = await held.message(['a@example.org'], content)
  const answer = await held.carry(retry)
  assert.equal(answer.reply.code, 250)
  assert.equal(await held.spool.inCustody(retry.envelope.id), false)
  await answer.heard()
  assert.deepEqual(await left(retry.envelope.id), [])
})

test('custody fails: the session goes on holding, and believes the log when it comes', async () => {
  const queued = path.join(held.config.spool, 'queued')
  await rename(queued, `${queued}.away`)
  const message = await held.message()
  const carried = held.carry(message)
  await until('custody to fail', () => held.events.of('warned').length > 0)
  await work(message, [end('a@example.org', 'relayed')])
  assert.equal((await carried).reply.code, 250)
  await rename(`${queued}.away`, queued)
})

test('Redis frozen: 451 within seconds, and the job that was added after all finds nothing', async () => {
  held.redis.freeze()
  const message = await held.message()
  const startedAt = Date.now()
  const answer = await held.carry(message)
  assert.equal(answer.reply.code, 451)
  assert.ok(Date.now() - startedAt < 8000)
  assert.equal(await held.spool.content(message.envelope.id), undefined)
  held.redis.thaw()
})

test('Redis dead: 451 at once', async () => {
  await held.redis.kill()
  await until('the connection to notice', () => !held.queue.reachable())
  const startedAt = Date.now()
  assert.equal((await held.carry(await held.message())).reply.code, 451)
  assert.ok(Date.now() - startedAt < 1000)
  await held.redis.restart()
  await until('the connection to come back', () => held.queue.reachable())
})
