// What failed for good in custody: told to a proven sender, kept otherwise, once in either case.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, beforeEach, test } from 'node:test'
import type { Envelope } from '../../../gateway/message.ts'
import { all, plan, type Relaying, startRelaying } from '../../support/relaying.ts'

let relaying: Relaying
before(async () => {
  relaying = await startRelaying()
})
after(() => relaying[Symbol.asyncDispose]())
beforeEach(() => {
  Object.assign(relaying, { orders: [], hints: [], swept: [], asked: 0 })
  Object.assign(relaying, { deliver: all('refused'), proven: { spf: true, dkim: false } })
})

const relayed = plan({ 'a@example.org': 'relay' })
const run = (envelope: Envelope, decided = relayed) =>
  relaying.run({ attempt: 1, envelope, plan: decided })
const reasonOf = async ({ id }: Envelope) => (await relaying.quarantine.find(id))[0]?.reason

test('refused for good: a notification in custody, from the null reverse-path, without the body', async () => {
  const envelope = await relaying.custody()
  await run(envelope)
  const id = `${envelope.id}-dsn1`
  assert.equal(await relaying.spool.inCustody(envelope.id), false)
  const dsn = await relaying.spool.envelope(id)
  assert.equal(dsn?.reversePath, '')
  assert.equal(dsn?.kind, 'notification')
  assert.deepEqual(dsn?.recipients, [{ address: 's@example.net', domain: 'example.net' }])
  const text = await readFile(relaying.spool.contentPath(id), 'latin1')
  assert.match(text, /Subject: x/)
  assert.match(text, /550 in its own words/)
  assert.doesNotMatch(text, /The body/)
  assert.ok(relaying.swept.includes(id))
  assert.equal(relaying.asked, 1)
})

test('a notification goes out by its own next hop; refused, it is kept', async () => {
  const envelope = await relaying.custody()
  await run(envelope)
  const dsn = await relaying.spool.envelope(`${envelope.id}-dsn1`)
  assert.ok(dsn)
  await relaying.run({ attempt: 1, envelope: dsn, plan: { recipients: [] } })
  assert.deepEqual(relaying.orders.at(-1)?.nextHops, ['smtp://127.0.0.1:3'])
  assert.equal(await relaying.spool.inCustody(dsn.id), false)
  assert.equal(await reasonOf(dsn), 'undeliverable: a notification of ours')
})

test('killed after the notification, before it was written down: no second one', async () => {
  const envelope = await relaying.custody()
  const append = relaying.spool.append
  let claimed = true
  relaying.spool.append = async (id, lines) => {
    if (!lines.some(line => line.kind === 'end' && line.end === 'notified'))
      return append(id, lines)
    claimed = false
    throw new Error('killed')
  }
  const take = relaying.spool.claims.take
  relaying.spool.claims.take = async id => {
    const claim = await take(id)
    return claim && { ...claim, stillHeld: async () => claimed }
  }
  await assert.rejects(run(envelope), /killed/)
  Object.assign(relaying.spool, { append })
  relaying.spool.claims.take = take
  await run(envelope)
  const queued = (await relaying.spool.queued()).filter(({ id }) => id.startsWith(envelope.id))
  assert.deepEqual(
    queued.map(({ id }) => id),
    [`${envelope.id}-dsn1`],
  )
})

test('who is not proven hears nothing: the mail is kept as undeliverable', async () => {
  relaying.proven = { spf: false, dkim: false }
  const unproven = await relaying.custody()
  await run(unproven)
  assert.match((await reasonOf(unproven)) ?? '', /not proven/)
  assert.equal(relaying.events.of('undeliverable').at(-1)?.id, unproven.id)

  relaying.proven = { spf: true, dkim: true }
  const known = plan({ 'a@example.org': 'relay' }, { authentication: { spf: false, dkim: false } })
  const scanned = await relaying.custody()
  relaying.asked = 0
  await run(scanned, known)
  assert.match((await reasonOf(scanned)) ?? '', /not proven/)
  assert.equal(relaying.asked, 0, 'the scanners had looked already')

  const nobody = await relaying.custody(['a@example.org'], { reversePath: '' })
  await run(nobody)
  assert.match((await reasonOf(nobody)) ?? '', /null/)
})

test('without a way out for notifications everything is kept', async () => {
  await using mute = await startRelaying({ notifications: undefined })
  mute.deliver = all('refused')
  const envelope = await mute.custody()
  await mute.run({ attempt: 1, envelope, plan: relayed })
  assert.equal((await mute.quarantine.find(envelope.id)).length, 1)
  assert.equal(await mute.spool.inCustody(envelope.id), false)
})

test('deferred for too long: told as expired; held, it waits', async () => {
  relaying.deliver = all('deferred')
  const waiting = await relaying.custody()
  await run(waiting)
  assert.equal(await relaying.spool.inCustody(waiting.id), true)
  const receivedAt = Date.now() - relaying.config.retry.expire - 1
  const expired = await relaying.custody(['a@example.org'], { receivedAt })
  await run(expired)
  assert.equal(await relaying.spool.inCustody(expired.id), false)
  assert.equal(await relaying.spool.inCustody(`${expired.id}-dsn1`), true)
})

test('refused while its client waits: neither told nor kept, the session says it', async () => {
  const envelope = await relaying.message()
  await relaying.run({
    ...{ attempt: 1, envelope, plan: relayed },
    ...{ replyTo: 'session', deadline: Date.now() + 60_000 },
  })
  assert.equal(await relaying.spool.inCustody(`${envelope.id}-dsn1`), false)
  assert.deepEqual(await relaying.quarantine.find(envelope.id), [])
})
