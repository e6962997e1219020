// When the next attempt is made: later each time, never all at once, and not for ever.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isExpired, nextAttempt } from '../../../gateway/spool/retry.ts'

const retry = { first: 60_000, longest: 3_600_000, expire: 86_400_000 }
const wait = (attempt: number, random: number) =>
  nextAttempt(attempt, retry, 1000, random).dueAt - 1000

test('doubles from the first to the longest wait', () => {
  assert.deepEqual(
    [1, 2, 3, 6, 7, 50, 10_000].map(attempt => wait(attempt, 0.5) / 60_000),
    [1, 2, 4, 32, 60, 60, 60],
  )
  assert.equal(nextAttempt(7, retry, 0).attempt, 8)
})

test('gives or takes a quarter', () => {
  assert.equal(wait(1, 0), 45_000)
  assert.equal(wait(1, 1), 75_000)
  const spread = new Set(Array.from({ length: 20 }, () => nextAttempt(1, retry, 0).dueAt))
  assert.ok(spread.size > 1)
})

test('expires after its time, not at it', () => {
  assert.equal(isExpired(1000, retry, 1000 + retry.expire), false)
  assert.equal(isExpired(1000, retry, 1001 + retry.expire), true)
  assert.equal(isExpired(5000, retry, 1000), false, 'a clock that was set back expires nothing')
})
