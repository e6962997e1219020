// The account itself: it must see a loss, a second copy, an alteration and an infection, and excuse only what is excused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accountOf, isRight, key } from './account.ts'
import { type Arrival, createRecord, type Record } from './record.ts'

const BOB = 'bob@example.org'

/** A run of one message to bob, acknowledged once, whose copies arrived as given. */
function runOf(...arrivals: Partial<Arrival>[]): Record {
  const record = createRecord()
  record.kept.set(1, {
    sha256: 'as sent',
    infected: false,
    recipients: new Map([[BOB, { meant: 1, acknowledged: 1, refused: 0 }]]),
    unknown: false,
  })
  for (const arrival of arrivals)
    record.arrivals.push({
      ...{ number: 1, sha256: 'as sent', recipients: [BOB], at: 10_000 },
      ...{ heardAt: 10_001, hungUp: false },
      ...arrival,
    })
  return record
}
const account = (record: Record) => accountOf(record, new Map())

test('one copy of what was acknowledged once is right', () => {
  assert.ok(isRight(account(runOf({}))))
})

test('what was acknowledged and is nowhere is lost; in the quarantine it is not', () => {
  const lost = account(runOf())
  assert.deepEqual(lost.lost, [key(1, BOB)])
  assert.ok(!isRight(lost))
  assert.ok(isRight(accountOf(runOf(), new Map([[key(1, BOB), 1]]))))
})

test('a message acknowledged twice must be there twice', () => {
  const record = runOf({})
  record.kept.get(1)?.recipients.set(BOB, { meant: 2, acknowledged: 2, refused: 0 })
  assert.deepEqual(account(record).lost, [key(1, BOB)])
})

test('a second copy needs an excuse of its own', () => {
  assert.deepEqual(account(runOf({}, {})).unexcused, [key(1, BOB)])
  const hungUp = account(runOf({ hungUp: true }, {}))
  assert.deepEqual([hungUp.twice, hungUp.excused, isRight(hungUp)], [1, 1, true])
  assert.deepEqual(account(runOf({ hungUp: true }, {}, {})).unexcused, [key(1, BOB)])
})

test('a kill excuses only the copies that were taken around it', () => {
  const record = runOf({}, { at: 60_000 })
  record.disturbances.push({ from: 30_000, to: 30_000 })
  assert.equal(account(record).excused, 0)
  record.disturbances.push({ from: 11_000, to: 11_000 })
  assert.equal(account(record).excused, 1)
})

test('other octets, other recipients and infected mail are seen', () => {
  assert.deepEqual(account(runOf({ sha256: 'other' })).altered, ['1'])
  const stranger = runOf({ recipients: [BOB, 'eve@example.org'] })
  assert.deepEqual(account(stranger).altered, [key(1, 'eve@example.org')])
  const record = runOf({})
  const kept = record.kept.get(1)
  if (kept) kept.infected = true
  assert.deepEqual(account(record).infectedInside, ['1'])
})
