// Large messages are scanned in the order they came, no more of them at once than fit; small ones never wait.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createScanRoom } from '../../gateway/scan-room.ts'

const MIB = 2 ** 20

/** Enters, and tells when it is in. */
function entering(room: ReturnType<typeof createScanRoom>, sizeBytes: number) {
  const state: { place?: Disposable | undefined; settled: boolean } = { settled: false }
  void room.enter(sizeBytes).then(place => {
    state.place = place
    state.settled = true
  })
  return state
}

test('what does not fit waits until others have left, in the order of asking', async () => {
  const room = createScanRoom(() => 10 * MIB)
  const [first, second, third, fourth] = [6, 6, 3, 4].map(size => entering(room, size * MIB))
  await turn()
  assert.ok(first?.settled && first.place)
  // 3 would fit beside the first, but not before the second: else a large one might wait for ever.
  assert.deepEqual([second?.settled, third?.settled, fourth?.settled], [false, false, false])
  first.place[Symbol.dispose]()
  await turn()
  assert.deepEqual([second?.settled, third?.settled, fourth?.settled], [true, true, false])
  second?.place?.[Symbol.dispose]()
  second?.place?.[Symbol.dispose]()
  await turn()
  assert.equal(fourth?.settled, true)
  const fifth = entering(room, 4 * MIB)
  await turn()
  assert.equal(fifth.settled, false, 'leaving twice counts once')
})

test('small ones go in whatever waits, and a message larger than the room goes in alone', async () => {
  const room = createScanRoom(() => 2 * MIB)
  const giant = entering(room, 50 * MIB)
  const large = entering(room, MIB)
  const small = entering(room, MIB - 1)
  await turn()
  assert.deepEqual([giant.settled, large.settled, small.settled], [true, false, true])
  giant.place?.[Symbol.dispose]()
  await turn()
  assert.equal(large.settled, true)
})

test('closed, it lets go of those who wait and takes nobody in', async () => {
  const room = createScanRoom(() => MIB)
  entering(room, MIB)
  const waiting = entering(room, MIB)
  await turn()
  room.close()
  await turn()
  assert.deepEqual([waiting.settled, waiting.place], [true, undefined])
  assert.equal(await room.enter(1), undefined)
})
