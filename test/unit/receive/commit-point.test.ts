// The commit point, step by step: whatever ends while a worker stands at any of its moments, one copy and a true reply.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Message } from '../../../gateway/message.ts'
import { createQuarantine } from '../../../gateway/quarantine/quarantine.ts'
import type { RelayJob } from '../../../gateway/queue/jobs.ts'
import { createRelay } from '../../../gateway/relay/relay.ts'
import { type Identity, ownIdentity } from '../../../gateway/spool/identity.ts'
import { createSpool } from '../../../gateway/spool/spool.ts'
import { type Held, startHeld } from '../../support/held.ts'
import { all, plan } from '../../support/relaying.ts'

const TO = 'a@example.org'
const MOMENTS = [
  'before its claim',
  'with its claim',
  'before its final dot',
  'before its log line',
]
const DEAD: Identity = { ...ownIdentity(), pid: 4_194_303 }

let held: Held
before(async () => {
  held = await startHeld({ hold: { seconds: 1 } })
})
after(() => held[Symbol.asyncDispose]())

let subjects = 0
const fresh = () => `Subject: ${++subjects} ${Date.now()}\r\n\r\n`
const jobOf = ({ envelope }: Message): RelayJob => ({
  ...{ envelope, attempt: 1, plan: plan({ [TO]: 'relay' }) },
  ...{ replyTo: held.hints.address, deadline: Date.now() + 60_000 },
})

/** A worker that stops the first time it comes to `moment`, until told to go. */
async function workerStoppedAt(moment: string | undefined, identity = ownIdentity()) {
  const reached = Promise.withResolvers<void>()
  const going = Promise.withResolvers<void>()
  let copies = 0
  let stops = moment !== undefined
  const at = async (name: string) => {
    if (!stops || name !== moment) return
    stops = false
    reached.resolve()
    await going.promise
  }
  const folder = held.config.spool
  const own = await createSpool({ folder, identity, corrupted: file => assert.fail(file) })
  const spool: typeof own = {
    ...own,
    claims: {
      ...own.claims,
      take: id => at('before its claim').then(() => own.claims.take(id)),
    },
    content: id => at('with its claim').then(() => own.content(id)),
    append: (id, lines) => at('before its log line').then(() => own.append(id, lines)),
  }
  const run = createRelay({
    ...{ spool, hints: held.hints, events: held.events, config: () => held.config },
    quarantine: await createQuarantine({ folder: `${folder}/quarantine`, keepDays: 30 }),
    notify: () => assert.fail('nobody is to be notified'),
    delivery: {
      async deliver(order) {
        await at('before its final dot')
        if (!(await order.mayFinish())) return all('deferred')(order)
        copies++
        return all('relayed')(order)
      },
      destinations: () => [],
      async [Symbol.asyncDispose]() {},
    },
  })
  return { run, reached: reached.promise, go: going.resolve, copies: () => copies }
}

/** As the sweep would: nobody waits for it. */
async function runAgain(message: Message): Promise<number> {
  const other = await workerStoppedAt(undefined)
  const { replyTo: _, deadline: __, ...job } = jobOf(message)
  await other.run(job)
  return other.copies()
}

for (const moment of MOMENTS) {
  test(`the hold ends while the worker is ${moment}: custody, one copy, and its end`, async () => {
    const message = await held.message([TO], fresh())
    const { id } = message.envelope
    const carried = held.carry(message)
    await held.asked(message)
    const worker = await workerStoppedAt(moment)
    const working = worker.run(jobOf(message))
    await worker.reached
    const answer = await carried
    assert.equal(answer.reply.code, 250)
    assert.equal(await held.spool.inCustody(id), true)
    const early = await runAgain(message)
    worker.go()
    await working
    const late = await runAgain(message)
    await answer.heard()
    assert.equal(early + worker.copies() + late, 1)
    assert.equal(await held.spool.inCustody(id), false)
    assert.equal(await held.spool.content(id), undefined)
  })

  test(`the client goes while the worker is ${moment}: its retry hears 250, and there is one copy`, async () => {
    const content = fresh()
    const message = await held.message([TO], content)
    const leave = new AbortController()
    const carried = held.carry(message, leave.signal)
    await held.asked(message)
    const worker = await workerStoppedAt(moment)
    const working = worker.run(jobOf(message))
    await worker.reached
    leave.abort()
    await (await carried).unheard()
    worker.go()
    await working

    const retry = await held.message([TO], content)
    const again = held.carry(retry)
    const untouched = worker.copies() === 0
    assert.equal(untouched, moment === 'before its claim')
    const second = await workerStoppedAt(undefined)
    if (untouched) await held.asked(retry).then(() => second.run(jobOf(retry)))
    const answer = await again
    assert.equal(answer.reply.code, 250)
    await answer.heard()
    assert.equal(worker.copies() + second.copies(), 1)
  })

  test(`the worker dies ${moment}: custody, and another ends it`, async () => {
    const message = await held.message([TO], fresh())
    const { id } = message.envelope
    const carried = held.carry(message)
    await held.asked(message)
    const worker = await workerStoppedAt(moment, DEAD)
    void worker.run(jobOf(message))
    await worker.reached
    const answer = await carried
    assert.equal(answer.reply.code, 250)
    assert.equal(await runAgain(message), 1)
    await answer.heard()
    assert.equal(worker.copies(), moment === 'before its log line' ? 1 : 0, 'RFC 1047')
    assert.equal(await held.spool.inCustody(id), false)
  })
}
