// Hints to sweeps: every id is heard once, however many are told at the same moment.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { createHints } from '../../../gateway/queue/hints.ts'
import { PREFIX } from '../../../gateway/queue/redis.ts'
import { createSeal } from '../../../gateway/queue/seal.ts'
import { startHeld } from '../../support/held.ts'
import { until } from '../../support/process.ts'

test('sweeps hear of every message, of many at once in few words, and of none that nobody of us told', async () => {
  await using held = await startHeld()
  const { redis, spool } = held.config
  using sweeping = createHints(redis, 'sweeping', await createSeal(spool))
  using telling = createHints(redis, 'telling', await createSeal(spool))
  const other = new Redis({ path: held.redis.url.slice('unix:'.length) })
  const heard: string[] = []
  let words = 0
  try {
    sweeping.listenAsSweep(id => void heard.push(id))
    await other.subscribe(`${PREFIX}:hint:custody`)
    other.on('message', () => void words++)
    await until('the sweep to listen', () => {
      telling.tellSweep('first')
      return heard.includes('first')
    })
    heard.length = 0
    words = 0
    const ids = Array.from({ length: 250 }, (_, i) => `m${i}`)
    for (const id of ids) telling.tellSweep(id)
    await until('all to be heard', () => heard.includes('m249'))
    assert.deepEqual(
      heard.filter(id => id !== 'first'),
      ids,
    )
    assert.ok(words <= 4, `${words}`)
    const forger = other.duplicate()
    await forger.publish(`${PREFIX}:hint:custody`, 'forged')
    forger.disconnect()
    telling.tellSweep('last')
    await until('the last to be heard', () => heard.includes('last'))
    assert.ok(!heard.includes('forged'))
  } finally {
    other.disconnect()
  }
})
