// The commit point where a worker is faster than its hint: what is settled is never refused, and never forgotten.
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { Message } from '../../../gateway/message.ts'
import { createHold } from '../../../gateway/receive/hold.ts'
import { reply } from '../../../gateway/reply.ts'
import { createHolder } from '../../../gateway/spool/holder.ts'
import { ownIdentity } from '../../../gateway/spool/identity.ts'
import type { LogLine } from '../../../gateway/spool/outcome-log.ts'
import { createUnanswered } from '../../../gateway/spool/unanswered.ts'
import { type Held, startHeld } from '../../support/held.ts'

let held: Held
before(async () => {
  held = await startHeld({ hold: { seconds: 5 } })
})
after(() => held[Symbol.asyncDispose]())
beforeEach(() => {
  held.config.hold.seconds = 5
})

const end = (recipient: string, as: 'relayed' | 'refused'): LogLine => ({
  kind: 'end',
  at: Date.now(),
  recipient,
  end: as,
  ...(as === 'refused' ? { reply: reply(550, '5.1.1', 'Nobody here') } : {}),
})

/** Plays a worker that tells nobody: its hint was lost, or is still on its way. */
async function work({ envelope: { id } }: Message, lines: LogLine[]): Promise<void> {
  const claim = await held.spool.claims.take(id)
  assert.ok(claim)
  await held.spool.append(id, lines)
  await claim.release()
}

let count = 0
const fresh = () => `Subject: ${++count} ${Date.now()}\r\n\r\n`

/** Sends the same once more: 250, and nothing for a worker to do. */
async function assertRecognised(content: string) {
  const retry = await held.message(['a@example.org'], content)
  const answer = await held.carry(retry)
  assert.equal(answer.reply.code, 250)
  assert.equal(await held.spool.inCustody(retry.envelope.id), false)
  assert.equal((await held.spool.log(retry.envelope.id)).sizeBytes, 0)
  await answer.heard()
  const left = (await held.spool.incoming()).filter(name => name.startsWith(retry.envelope.id))
  assert.deepEqual(left, [])
}

test('the client goes after it was relayed, before the session looked: no second copy', async () => {
  const content = fresh()
  const message = await held.message(['a@example.org'], content)
  const leave = new AbortController()
  const carried = held.carry(message, leave.signal)
  await held.asked(message)
  await work(message, [end('a@example.org', 'relayed')])
  leave.abort()
  await (await carried).unheard()
  await assertRecognised(content)
})

test('a hint of no verdict comes after another run of the job relayed: 250', async () => {
  const message = await held.message(['a@example.org'], fresh())
  const { id } = message.envelope
  // The session has looked, and found nothing; what it finds next, it finds too late.
  const spool = {
    ...held.spool,
    claims: {
      ...held.spool.claims,
      async take(taken: string) {
        await work(message, [end('a@example.org', 'relayed')])
        spool.claims.take = held.spool.claims.take
        return held.spool.claims.take(taken)
      },
    },
  }
  const hold = createHold({
    ...{ spool, queue: held.queue, hints: held.hints, events: held.events },
    config: () => held.config,
    stopping: held.stopping.signal,
  })
  const carried = hold(message, new AbortController().signal)
  await held.asked(message)
  held.hints.tell(held.hints.address, { id, kind: 'tempfail', reply: reply(451, '4.7.1', 'x') })
  const answer = await carried
  assert.equal(answer.reply.code, 250)
  await answer.heard()
})

test('the job was added although adding failed, and is done already: 250', async () => {
  const message = await held.message(['a@example.org'], fresh())
  const queue = {
    ...held.queue,
    async scan() {
      await work(message, [end('a@example.org', 'relayed')])
      throw new Error('no answer within 5000 ms')
    },
  }
  const hold = createHold({
    ...{ spool: held.spool, queue, hints: held.hints, events: held.events },
    config: () => held.config,
    stopping: held.stopping.signal,
  })
  const answer = await hold(message, new AbortController().signal)
  assert.equal(answer.reply.code, 250)
  await answer.heard()
})

test('the log cannot be read after it was relayed: 451, and the retry makes no second copy', async () => {
  const content = fresh()
  const message = await held.message(['a@example.org'], content)
  let looks = 0
  const spool = {
    ...held.spool,
    async log(id: string) {
      if (++looks < 3) return held.spool.log(id)
      await work(message, [end('a@example.org', 'relayed')])
      spool.log = held.spool.log
      throw new Error('EIO')
    },
  }
  const hold = createHold({
    ...{ spool, queue: held.queue, hints: held.hints, events: held.events },
    config: () => held.config,
    stopping: held.stopping.signal,
  })
  const answer = await hold(message, new AbortController().signal)
  assert.equal(answer.reply.code, 451)
  await answer.heard()
  await assertRecognised(content)
})

test('a retry whose other recipient has it already is not refused as a whole: custody for a DSN', async () => {
  const content = fresh()
  const first = await held.message(['a@example.org'], content)
  const leave = new AbortController()
  const lost = held.carry(first, leave.signal)
  await held.asked(first)
  await work(first, [end('a@example.org', 'relayed')])
  leave.abort()
  await (await lost).unheard()

  const retry = await held.message(['a@example.org', 'b@example.org'], content)
  const carried = held.carry(retry)
  await held.asked(retry)
  await work(retry, [end('b@example.org', 'refused')])
  const answer = await carried
  assert.equal(answer.reply.code, 250)
  const kept = await held.spool.envelope(retry.envelope.id)
  assert.deepEqual(
    kept?.recipients.map(r => r.address),
    ['b@example.org'],
  )
  await answer.heard()
})

test('once a retry was answered, the same mail sent on purpose goes out again', async () => {
  held.config.hold.seconds = 0
  const content = fresh()
  const { fingerprint } = (await held.message(['a@example.org'], content)).envelope
  const dead = { pid: 4_194_303, startedAt: '1' }
  using holder = createHolder(path.join(held.config.spool, 'holders'), {
    ...ownIdentity(),
    ...dead,
  })
  const killed = createUnanswered(path.join(held.config.spool, 'unanswered'), holder)
  // A process took custody and was killed before its client heard; the retry comes before anybody adopted that.
  const first = await held.message(['a@example.org'], content)
  await killed.enter(fingerprint, first.envelope.id)
  await held.spool.takeCustody(first.envelope)
  const retry = await held.message(['a@example.org'], content)
  const answer = await held.carry(retry)
  assert.equal(answer.reply.text, 'Delivered')
  await answer.heard()
  await held.spool.unanswered.adopt()
  const onPurpose = await held.message(['a@example.org'], content)
  await (await held.carry(onPurpose)).heard()
  assert.equal(await held.spool.inCustody(onPurpose.envelope.id), true)
})

test('an earlier try in custody whose content is gone covers nobody: the retry is carried', async () => {
  const content = fresh()
  const first = await held.message(['a@example.org'], content)
  const leave = new AbortController()
  const lost = held.carry(first, leave.signal)
  await held.asked(first)
  held.hints.tell(held.hints.address, { id: first.envelope.id, kind: 'hold' })
  await (await lost).unheard()
  assert.equal(await held.spool.inCustody(first.envelope.id), true)
  await held.spool.removeContent(first.envelope.id)

  const retry = await held.message(['a@example.org'], content)
  const carried = held.carry(retry)
  await held.asked(retry)
  await work(retry, [end('a@example.org', 'relayed')])
  const answer = await carried
  assert.equal(answer.reply.code, 250)
  await answer.heard()
})
