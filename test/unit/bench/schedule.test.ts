// The load at a given rate: who is slow is not asked less often, and what had to wait for it counts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoadOrder, LoadResult } from '../../bench/load.ts'
import { createSchedule, lateness, type Schedule } from '../../bench/schedule.ts'
import { startTool } from '../../bench/tool.ts'
import { startNextHop } from '../../support/servers/next-hop.ts'

async function all(schedule: Schedule): Promise<number[]> {
  const due: number[] = []
  for (let turn = await schedule(); turn; turn = await schedule()) due.push(turn.dueAt ?? 0)
  return due
}

test('messages are due at fixed times, as many as the rate has in the time', async () => {
  const due = await all(createSchedule({ seconds: 0.2, messages: 1000, perSecond: 100 }))
  assert.equal(due.length, 20)
  const first = due[0] ?? 0
  due.forEach((at, i) => {
    assert.ok(Math.abs(at - first - 10 * i) < 0.001)
  })
  const few = await all(createSchedule({ seconds: 10, messages: 3, perSecond: 1000 }))
  assert.equal(few.length, 3)
})

test('without a rate they are due at once, as long as it goes on', async () => {
  const schedule = createSchedule({ seconds: 60, messages: 3 })
  assert.deepEqual(await all(schedule), [0, 0, 0])
  assert.equal(await createSchedule({ seconds: 0, messages: 3 })(), undefined)
})

test('nothing is early, and what is not due is never late', () => {
  assert.equal(lateness({ dueAt: 100 }, 130), 30)
  assert.equal(lateness({ dueAt: 100 }, 99.5), 0)
  assert.equal(lateness({ dueAt: undefined }, 130), 0)
})

test('a stall counts for all that were due in it, not for one', async () => {
  let dots = 0
  await using server = await startNextHop()
  server.behave({ dot: () => (++dots === 5 ? { delayMs: 500 } : undefined) })
  await using load = await startTool('load.ts')
  const order: LoadOrder = {
    ...{ run: 'paced', ports: [server.port], size: 4096, sessions: 1, perConnection: 'keep' },
    ...{ seconds: 1.5, messages: 1000, perSecond: 20, seed: 1, contentSeed: 1 },
  }
  const { sent, faults } = (await load.ask(order)) as LoadResult
  assert.deepEqual(faults, [])
  assert.equal(sent.length, 30)
  const slow = sent.filter(({ dotAt, repliedAt }) => repliedAt - dotAt > 200)
  const waited = sent.filter(m => m.repliedAt - m.dotAt + m.lateMs > 200)
  assert.ok(slow.length >= 1)
  // Another five were due in the first 250 ms of it.
  assert.ok(waited.length >= slow.length + 4, `${waited.length} waited, ${slow.length} were slow`)
})
