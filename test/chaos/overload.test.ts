// A short overload: who is not taken hears so at once, who is taken is served, and all is well when they have left.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { overload } from './overload-run.ts'

test('500 clients at once, then 500 idle and 50 slow ones: nobody else is kept from delivering', async () => {
  const options = { clients: 500, seconds: 3, idle: 500, slow: 50, seed: 1 }
  const { faults, rush } = await overload(options)
  assert.deepEqual(faults, [], JSON.stringify({ ...rush, unanswered: rush.unanswered.length }))
})
