// A scan job: what it tells the waiting session, what it hands on, and when it is not worth doing any more.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Envelope } from '../../gateway/message.ts'
import type { Hint, RelayJob, ScanJob } from '../../gateway/queue/jobs.ts'
import { reply } from '../../gateway/reply.ts'
import { createScan } from '../../gateway/scan.ts'
import { createScanRoom, type ScanRoom } from '../../gateway/scan-room.ts'
import { createClaims } from '../../gateway/spool/claim.ts'
import { createHolder } from '../../gateway/spool/holder.ts'
import { ownIdentity } from '../../gateway/spool/identity.ts'
import type { Decision, Disposition } from '../../policies/policy.ts'
import { type Relaying, startRelaying } from '../support/relaying.ts'

let house: Relaying
before(async () => {
  house = await startRelaying()
})
after(() => house[Symbol.asyncDispose]())

let hints: Hint[]
let handedOn: RelayJob[]
let asked: number
let decisions: Record<string, Partial<Decision> & { disposition: Disposition }>
let meanwhile: () => Promise<void>
let room: ScanRoom
let whileRelayed: () => Promise<void>
beforeEach(() => {
  Object.assign(house, { swept: [] })
  hints = []
  handedOn = []
  asked = 0
  decisions = {}
  meanwhile = async () => undefined
  room = createScanRoom(() => 2 ** 20)
  whileRelayed = async () => undefined
})

const scan = (job: ScanJob, again = false, alone = false) =>
  createScan({
    spool: house.spool,
    events: house.events,
    room,
    async handOn(job) {
      handedOn.push(job)
      await whileRelayed()
    },
    alone,
    hints: {
      tell: (_, hint) => void hints.push(hint),
      tellSweep: id => void house.swept.push(id),
    },
    async ask() {
      asked++
      await meanwhile()
      return [
        {
          scanner: 'rspamd',
          verdict: { kind: 'clean' },
          durationMs: 1,
          authentication: { spf: true, dkim: false },
        },
      ]
    },
    decide: (_reports, _envelope, { address }) => ({
      policy: 'test',
      reason: 'the test says so',
      ...(decisions[address] ?? { disposition: 'relay' as const }),
    }),
  })(job, again)

const held = (envelope: Envelope): ScanJob => ({
  ...{ envelope, attempt: 1, replyTo: 'session', deadline: Date.now() + 60_000 },
})
const TO = ['a@example.org', 'b@example.org']

test('to be relayed: handed on with the plan, nothing is told', async () => {
  const envelope = await house.message(TO)
  decisions = { 'b@example.org': { disposition: 'quarantine', fields: ['X: y'] } }
  await scan(held(envelope))
  assert.deepEqual(hints, [])
  const [job] = handedOn
  assert.equal(job?.replyTo, 'session')
  assert.deepEqual(
    job?.plan.recipients.map(p => [p.recipient, p.disposition, p.fields]),
    [
      ['a@example.org', 'relay', undefined],
      ['b@example.org', 'quarantine', ['X: y']],
    ],
  )
  assert.deepEqual(job?.plan.authentication, { spf: true, dkim: false })
})

test('held: rejected for all is told, rejected for one is handed on', async () => {
  const said = reply(550, '5.7.1', 'virus')
  decisions = { 'a@example.org': { disposition: 'reject', reply: said } }
  const one = await house.message(['a@example.org'])
  await scan(held(one))
  assert.deepEqual(hints, [{ id: one.id, kind: 'reject', reply: said }])
  assert.deepEqual(handedOn, [])
  await scan(held(await house.message(TO)))
  assert.equal(handedOn.length, 1)
})

test('held without a verdict: nothing is handed on; 4xx unless all deferrals ask for custody', async () => {
  decisions = { 'b@example.org': { disposition: 'defer', custody: true } }
  await scan(held(await house.message(TO)))
  decisions['a@example.org'] = { disposition: 'defer' }
  await scan(held(await house.message(TO)))
  assert.deepEqual(
    hints.map(({ kind, reply }) => [kind, reply?.code]),
    [
      ['hold', undefined],
      ['tempfail', 451],
    ],
  )
  assert.deepEqual(handedOn, [])
})

test('in custody everything is handed on: nobody waits', async () => {
  decisions = {
    'a@example.org': { disposition: 'reject' },
    'b@example.org': { disposition: 'defer' },
  }
  const envelope = await house.custody(TO)
  await scan({ envelope, attempt: 2 })
  await scan({ ...held(envelope), deadline: 1 })
  assert.deepEqual(hints, [])
  assert.deepEqual(
    handedOn.map(job => job.plan.recipients.map(p => p.disposition)),
    [
      ['reject', 'defer'],
      ['reject', 'defer'],
    ],
  )
})

test('custody is taken while it is scanned: the verdict is not lost on a session that is gone', async () => {
  decisions = { 'a@example.org': { disposition: 'reject' } }
  const envelope = await house.message()
  meanwhile = () => house.spool.takeCustody(envelope)
  await scan(held(envelope))
  assert.deepEqual(hints, [])
  assert.equal(handedOn.length, 1)
})

test('past its deadline, or dropped: nobody is asked', async () => {
  const late = await house.message()
  await scan({ ...held(late), deadline: Date.now() - 1 })
  const dropped = await house.message()
  await house.spool.removeHeld(dropped.id)
  await scan(held(dropped))
  assert.equal(asked, 0)
  assert.deepEqual([hints, handedOn], [[], []])
})

/** Somebody died while they scanned it for a second time. */
async function dieOf({ id }: Envelope): Promise<void> {
  const dead = { ...ownIdentity(), pid: 4_194_303, startedAt: '1' }
  using holder = createHolder(house.spool.incomingPath('../holders'), dead)
  using claims = createClaims(house.spool.incomingPath('.'), holder)
  assert.ok(await claims.take(id))
}

test('after a death, deaths are counted; it is scanned once more, and the count goes on to the relay', async () => {
  const envelope = await house.message()
  meanwhile = async () => assert.equal(await house.spool.claims.held(envelope.id), true)
  await scan(held(envelope), true)
  assert.equal(handedOn.length, 1)
  assert.equal(await house.spool.claims.deaths(envelope.id), 1)
})

test('after two deaths it is left for a process of its own, which counts no further', async () => {
  const envelope = await house.message()
  await house.spool.claims.blame(envelope.id)
  await dieOf(envelope)
  await scan(held(envelope), true)
  assert.deepEqual(
    hints.map(({ kind }) => kind),
    ['hold'],
    'it is to come into custody first',
  )
  await house.spool.takeCustody(envelope)
  await scan({ envelope, attempt: 1 })
  assert.deepEqual(house.swept, [envelope.id])
  assert.equal(asked, 0)
  await scan({ envelope, attempt: 1 }, false, true)
  assert.equal(handedOn.length, 1)
})

test('the way of a held message that nobody died of leaves no trace of a claim', async () => {
  const envelope = await house.message()
  meanwhile = async () => assert.equal(await house.spool.claims.held(envelope.id), false)
  await scan(held(envelope))
  assert.equal(handedOn.length, 1)
})

test('a large message leaves the room for others before it is relayed, and waits for its turn before', async () => {
  const envelope = { ...(await house.message(TO)), sizeBytes: 2 ** 20 }
  let entered: Disposable | undefined
  whileRelayed = async () => {
    entered = await room.enter(2 ** 20)
  }
  await scan(held(envelope))
  assert.equal(handedOn.length, 1)
  const waiting = scan(held(envelope))
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(asked, 1)
  whileRelayed = async () => undefined
  entered?.[Symbol.dispose]()
  await waiting
  assert.equal(asked, 2)
})

test('a large message keeps its place as long as it is scanned, whether its client waits or not', async () => {
  for (const job of [
    held({ ...(await house.message(TO)), sizeBytes: 2 ** 20 }),
    { envelope: { ...(await house.custody(TO)), sizeBytes: 2 ** 20 }, attempt: 1 },
  ]) {
    let entered: Disposable | undefined
    let early: Disposable | undefined
    meanwhile = async () => {
      void room.enter(2 ** 20).then(place => {
        entered = place
      })
      for (let turns = 0; turns < 5; turns++) await new Promise(resolve => setImmediate(resolve))
      early = entered
    }
    await scan(job)
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(early, undefined)
    assert.ok(entered)
    entered[Symbol.dispose]()
  }
})

test('what waits for its turn when the scanning stops is left to the sweep', async () => {
  const envelope = { ...(await house.custody(TO)), sizeBytes: 2 ** 20 }
  await room.enter(2 ** 20)
  const waiting = scan({ envelope, attempt: 1 })
  room.close()
  await waiting
  assert.deepEqual([asked, handedOn], [0, []])
  assert.equal(await house.spool.inCustody(envelope.id), true)
})
