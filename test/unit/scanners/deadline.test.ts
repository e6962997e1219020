// The time one scan may take: how it ends, and that nothing is left of it.
import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { test } from 'node:test'
import { calledOff, deadlineOf } from '../../../scanners/deadline.ts'

test('it ends by itself, and that is nobody calling it off', async () => {
  using deadline = deadlineOf(20)
  await once(deadline.signal, 'abort')
  assert.equal(deadline.signal.reason.name, 'TimeoutError')
  assert.equal(calledOff(deadline.signal), false)
})

test('it ends with any of those outside it, for their reason, before or after it began', () => {
  const [one, other] = [new AbortController(), new AbortController()]
  using deadline = deadlineOf(60_000, one.signal, other.signal)
  assert.equal(deadline.signal.aborted, false)
  const reason = new Error('a virus was found')
  other.abort(reason)
  assert.equal(deadline.signal.reason, reason)
  assert.equal(calledOff(deadline.signal), true)
  using late = deadlineOf(60_000, one.signal, other.signal)
  assert.equal(late.signal.reason, reason)
})

test('once disposed of it listens to nobody, and keeps its signal as it is', async () => {
  const outer = new AbortController()
  const deadline = deadlineOf(10, outer.signal)
  deadline[Symbol.dispose]()
  assert.equal(getEventListeners(outer.signal, 'abort').length, 0)
  outer.abort()
  await new Promise(resolve => setTimeout(resolve, 20))
  assert.equal(deadline.signal.aborted, false)
})
