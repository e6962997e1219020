// What a held message waits by: its bell, and the ends of the signals it waits under.
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { createBell } from '../../../gateway/receive/bell.ts'
import { createEndings } from '../../../gateway/receive/endings.ts'

test('a bell wakes its waiter, is heard afterwards if nobody waited, and only once', async () => {
  const bell = createBell()
  const waiting = bell.wait(60_000)
  bell.ring()
  await waiting
  bell.ring()
  bell.ring()
  await bell.wait(60_000)
  const startedAt = performance.now()
  await bell.wait(30)
  assert.ok(performance.now() - startedAt > 25, 'a ring is not heard twice')
})

test('an ending is told to all that wait at that moment, by one listener', () => {
  const onEnd = createEndings()
  const stop = new AbortController()
  const told: string[] = []
  onEnd(stop.signal, () => told.push('a'))
  onEnd(stop.signal, () => told.push('b'))()
  for (let i = 0; i < 100; i++) onEnd(stop.signal, () => told.push('through'))()
  assert.equal(getEventListeners(stop.signal, 'abort').length, 1)
  onEnd(new AbortController().signal, () => told.push('another'))
  stop.abort()
  assert.deepEqual(told, ['a'])
})
