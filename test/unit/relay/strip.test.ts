// Parts are cut out only of what lies whole in the quarantine; a later attempt keeps no second copy.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import type { Order } from '../../../gateway/relay/deliver.ts'
import {
  all,
  CONTENT,
  outcome,
  plan,
  type Relaying,
  startRelaying,
} from '../../support/relaying.ts'

let relaying: Relaying
before(async () => {
  relaying = await startRelaying()
})
after(() => relaying[Symbol.asyncDispose]())
beforeEach(() => {
  Object.assign(relaying, { orders: [], hints: [], swept: [], deliver: all('relayed') })
})

const TO = ['a@example.org', 'b@example.org']
const cuts = [{ from: 20, to: 30, name: 'a.exe', why: 'elf' }]
const stripping = () => {
  const made = plan({ 'a@example.org': 'relay', 'b@example.org': 'relay' })
  return { ...made, recipients: made.recipients.map(each => ({ ...each, cuts })) }
}
const soon = () => ({ attempt: 1, replyTo: 'session', deadline: Date.now() + 60_000 })

test('the whole message is in the quarantine when the first octet goes out', async () => {
  const envelope = await relaying.message(TO)
  let kept: string[] = []
  relaying.deliver = async (order: Order) => {
    const entries = await relaying.quarantine.find(envelope.id)
    kept = entries.map(({ place }) => readFileSync(place, 'latin1'))
    return all('relayed')(order)
  }
  await relaying.run({ ...soon(), envelope, plan: stripping() })
  assert.deepEqual(kept, [CONTENT])
  const [order] = relaying.orders
  assert.deepEqual(
    order?.replacements?.map(({ from, to }) => [from, to]),
    [[20, 30]],
  )
  assert.ok(order?.replacements?.[0]?.notice.includes(envelope.id))
})

test('where it cannot be kept nothing goes out, and nothing is settled', async () => {
  const envelope = await relaying.message(TO)
  const { keep } = relaying.quarantine
  relaying.quarantine.keep = async () => {
    throw new Error('disk full')
  }
  try {
    await assert.rejects(relaying.run({ ...soon(), envelope, plan: stripping() }), /disk full/)
  } finally {
    relaying.quarantine.keep = keep
  }
  assert.deepEqual(relaying.orders, [])
  assert.equal((await relaying.spool.log(envelope.id)).ends.size, 0)
})

test('a later attempt, for those who are left, cuts the same and keeps no second copy', async () => {
  const envelope = await relaying.custody(TO)
  relaying.deliver = () => [
    outcome('a@example.org', 'relayed'),
    outcome('b@example.org', 'deferred'),
  ]
  await relaying.run({ attempt: 1, envelope, plan: stripping() })
  const { plan: written } = await relaying.spool.log(envelope.id)
  assert.ok(written)
  relaying.deliver = all('relayed')
  await relaying.run({ attempt: 2, envelope, plan: written })
  const [first, second] = relaying.orders
  assert.deepEqual(
    second?.recipients.map(({ address }) => address),
    ['b@example.org'],
  )
  assert.deepEqual(second?.replacements, first?.replacements)
  assert.equal((await relaying.quarantine.find(envelope.id)).length, 1)
})
