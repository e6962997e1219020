// On the way to a million: where it looks up, and what it takes for growth.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grown, stopsOf } from '../../bench/flat.ts'
import type { State } from '../../bench/gateway-state.ts'

const at = (messages: number, what: string) =>
  stopsOf(messages)
    .filter(stop => stop.what === what)
    .map(stop => stop.at)

test('a million is reported at 2,000 and each 100,000, and told of in between', () => {
  const hundreds = Array.from({ length: 10 }, (_, i) => (i + 1) * 100_000)
  assert.deepEqual(at(1_000_000, 'report'), [2000, ...hundreds])
  const told = hundreds.map(each => each - 50_000)
  assert.deepEqual(at(1_000_000, 'progress'), told)
})

test('the tool never keeps more than 10,000', () => {
  for (const messages of [1, 2000, 5000, 33_333, 1_000_000]) {
    const stops = stopsOf(messages).map(stop => stop.at)
    assert.equal(stops.at(-1), messages)
    stops.forEach((stop, i) => {
      const size = stop - (stops[i - 1] ?? 0)
      assert.ok(size > 0 && size <= 10_000, `${size} before ${stop} of ${messages}`)
    })
  }
})

test('few are reported ten times', () => {
  assert.deepEqual(at(5000, 'report'), [500, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000])
  assert.deepEqual(at(1, 'report'), [1])
})

test('growth is what a process holds more at the end than at the second report', () => {
  const MIB = 2 ** 20
  const state = (usedMib: number, descriptors = 30): State[] => [
    {
      ...{ pid: 7, pssMib: 60, descriptors },
      heap: { usedBytes: usedMib * MIB, totalBytes: 90 * MIB, externalBytes: 0 },
    },
  ]
  assert.deepEqual(grown([state(10), state(20), state(90), state(25)]), [])
  assert.deepEqual(grown([state(10), state(20), state(27)]), ['the heap of 7 grew by 7.0 MiB'])
  assert.deepEqual(grown([state(10), state(20), state(20, 51)]), ['7 has 21 more descriptors'])
  const another = state(20).map(each => ({ ...each, pid: 8 }))
  assert.match(grown([state(10), state(20), another])[0] ?? '', /8 was not there before/)
})
