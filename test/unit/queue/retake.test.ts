// A dead worker's jobs are taken up by another long before their locks have run out; a living one keeps its own.
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { createConsumer } from '../../../gateway/queue/consumer.ts'
import type { ScanJob } from '../../../gateway/queue/jobs.ts'
import { PREFIX } from '../../../gateway/queue/redis.ts'
import { createSeal } from '../../../gateway/queue/seal.ts'
import { startHeld } from '../../support/held.ts'
import { start, until } from '../../support/process.ts'

const TAKER = path.join(import.meta.dirname, '..', '..', 'support', 'job-taker.ts')
/** No lock has run out by then, and each of its holders has renewed it. */
const BEFORE_LOCKS_END_MS = 8000
const WORKERS = `${PREFIX}:scan:workers`

test('killed, its jobs are taken up at once and as such; stopped, it keeps them', async () => {
  await using held = await startHeld()
  const { redis, spool } = held.config
  assert.ok(typeof redis === 'string')
  const take = () => start(process.execPath, [TAKER, redis, spool])
  await using dies = await take()
  for (let i = 0; i < 20; i++) {
    const { envelope } = await held.message()
    await held.queue.scan({ envelope, attempt: 1 })
  }
  const taken = () => dies.output().split('taken').length - 1
  await until('it to take them all', () => taken() === 20)
  const connection = new Redis({ path: held.redis.url.slice('unix:'.length) })
  using stack = new DisposableStack()
  stack.defer(() => connection.disconnect())
  const known = () => connection.hlen(WORKERS)
  await until('it to make itself known', async () => (await known()) === 1)

  const runs: { id: string; again: boolean }[] = []
  const seal = await createSeal(spool)
  await using consumer = createConsumer<ScanJob>({
    ...{ redis, queue: 'scan', concurrency: 50, seal },
    run: async ({ envelope }, again) => void runs.push({ id: envelope.id, again }),
    fault: error => assert.fail(String(error)),
  })
  dies.signal('SIGSTOP')
  await until('the other to have looked', async () => (await known()) === 2)
  assert.deepEqual(runs, [])
  const killedAt = performance.now()
  await dies.kill()
  await until('all to be done', () => runs.length === 20)
  assert.ok(performance.now() - killedAt < BEFORE_LOCKS_END_MS)
  assert.deepEqual(
    runs.filter(({ again }) => !again),
    [],
  )
  await until('the dead to be forgotten', async () => (await known()) === 1)
  assert.equal(consumer.active(), 0)
})
