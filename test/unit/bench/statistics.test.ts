// The arithmetic of the bench: medians, percentiles by rank, ratios turn by turn.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bestOf, median, percentiles, ratio } from '../../bench/statistics.ts'

test('the median is in the middle, whatever the order', () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.equal(median([10, 9, 100]), 10)
  assert.ok(Number.isNaN(median([])))
})

test('percentiles are values that were measured', () => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i)
  assert.deepEqual(percentiles(values), { p50: 100, p95: 190, p99: 198 })
  assert.deepEqual(percentiles([7]), { p50: 7, p95: 7, p99: 7 })
  assert.ok(Number.isNaN(percentiles([]).p99))
})

test('a ratio is the median of the ratios of each turn', () => {
  // The machine was slow in the second turn, for both.
  assert.equal(ratio([200, 20, 220], [100, 10, 100]), 2)
  assert.equal(ratio([200, 400], [100]), 2)
  assert.equal(ratio([200, 400], [0, 100]), 4)
  assert.ok(Number.isNaN(ratio([1], [])))
})

test('the best may be another one each turn', () => {
  assert.deepEqual(
    bestOf([
      [1, 5, 3],
      [2, 4],
    ]),
    [2, 5, 3],
  )
  assert.deepEqual(bestOf([]), [])
})
