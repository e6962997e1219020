// The queue as a to-do list: an attempt is in it once, an end makes room for the same again, and nobody waits for Redis.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { createConsumer } from '../../../gateway/queue/consumer.ts'
import type { ScanJob } from '../../../gateway/queue/jobs.ts'
import { jobId } from '../../../gateway/queue/queue.ts'
import { PREFIX } from '../../../gateway/queue/redis.ts'
import { createSeal } from '../../../gateway/queue/seal.ts'
import { type Held, startHeld } from '../../support/held.ts'
import { until } from '../../support/process.ts'

let held: Held
let looker: Queue
const socket = () => ({ path: held.redis.url.slice('unix:'.length) })
before(async () => {
  held = await startHeld()
  looker = new Queue('scan', { connection: socket(), prefix: PREFIX })
  looker.on('error', () => undefined)
})
after(async () => {
  await looker.close()
  await held[Symbol.asyncDispose]()
})

const job = async (attempt = 1): Promise<ScanJob> => ({
  envelope: (await held.message()).envelope,
  attempt,
})
const waiting = async () =>
  (await held.queue.counts()).find(row => row.queue === 'scan' && row.state === 'waiting')?.count

async function consume(run: (job: ScanJob) => Promise<void>) {
  const faults: { error: unknown; id: string | undefined }[] = []
  const consumer = createConsumer<ScanJob>({
    ...{ redis: held.config.redis, queue: 'scan', concurrency: 5, run },
    seal: await createSeal(held.config.spool),
    fault: (error, id) => faults.push({ error, id }),
  })
  return { consumer, faults, [Symbol.asyncDispose]: () => consumer.stop(1000) }
}

test('an attempt is queued once, however often it is added, and another attempt is another', async () => {
  const first = await job()
  await Promise.all([held.queue.scan(first), held.queue.scan(first)])
  await held.queue.scan({ ...first, attempt: 2 })
  assert.equal(await waiting(), 2)
  const done: ScanJob[] = []
  await using _ = await consume(async job => void done.push(job))
  await until('both to be done', () => done.length === 2)
  assert.deepEqual(done.map(job => job.attempt).sort(), [1, 2])
  await until('the first to be forgotten', async () => !(await looker.getJob(jobId(first))))
  assert.equal(await held.queue.underWay(first), false)
  await held.queue.scan(first)
  await until('it to be done again', () => done.length === 3)
})

test('a job is under way while it waits and while it is done, in either queue', async () => {
  const [scanned, relayed] = [await job(), await job()]
  await held.queue.scan(scanned)
  await held.queue.relay({ ...relayed, plan: { recipients: [] } })
  assert.equal(await held.queue.underWay(scanned), true)
  assert.equal(await held.queue.underWay(relayed), true)
  assert.equal(await held.queue.underWay({ ...scanned, attempt: 2 }), false)
  const end = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  await using _ = await consume(async () => {
    begun.resolve()
    await end.promise
  })
  await begun.promise
  assert.equal(await held.queue.underWay(scanned), true)
  end.resolve()
  await until('it to be over', async () => !(await held.queue.underWay(scanned)))
})

test('a job that throws is told by its id, and may be added again', async () => {
  const failing = await job()
  let runs = 0
  await using consuming = await consume(async () => {
    if (++runs === 1) throw new Error('a bug')
  })
  await held.queue.scan(failing)
  await until('it to fail', () => consuming.faults.length === 1)
  assert.equal(consuming.faults[0]?.id, jobId(failing))
  await until('it to be forgotten', async () => !(await looker.getJob(jobId(failing))))
  await held.queue.scan(failing)
  await until('it to run again', () => runs === 2)
})

test('a job whose workers die one after the other is forgotten, and may be added again', async () => {
  const deadly = await job()
  await held.queue.scan(deadly)
  let starts = 0
  const options = { lockDuration: 200, stalledInterval: 200, maxStalledCount: 1 }
  const worker = new Worker(
    'scan',
    async () => {
      starts++
      await sleep(60_000, undefined, { ref: false })
    },
    {
      ...{ connection: socket(), prefix: PREFIX, concurrency: 5, ...options },
      // As if the process that runs it were gone.
      skipLockRenewal: true,
      removeOnFail: { count: 0 },
    },
  )
  worker.on('error', () => undefined)
  await until('it to be given up', async () => starts > 0 && !(await looker.getJob(jobId(deadly))))
  await worker.close(true)
  assert.ok(starts <= 2)
  await held.queue.scan(deadly)
  assert.equal(await waiting(), 1)
  await looker.obliterate({ force: true })
})

test('stopping waits for what is active, no longer than it is given', async () => {
  const started = Promise.withResolvers<void>()
  const finish = Promise.withResolvers<void>()
  const { consumer } = await consume(async () => {
    started.resolve()
    await finish.promise
  })
  await held.queue.scan(await job())
  await started.promise
  assert.equal(consumer.active(), 1)
  const startedAt = Date.now()
  await consumer.stop(300)
  assert.ok(Date.now() - startedAt < 2000)
  finish.resolve()
  await looker.obliterate({ force: true })
})

test('FLUSHALL: what comes next is done', async () => {
  const done: ScanJob[] = []
  await using _ = await consume(async job => void done.push(job))
  await held.queue.scan(await job())
  await until('one to be done', () => done.length === 1)
  const client = new Redis(socket())
  await client.flushall()
  client.disconnect()
  await held.queue.scan(await job())
  await until('the next to be done', () => done.length === 2)
})

test('Redis full: adding fails, and works again when it has room', async () => {
  const client = new Redis(socket())
  await client.config('SET', 'maxmemory', '1')
  const full = await job()
  await assert.rejects(held.queue.scan(full), /OOM/)
  await client.config('SET', 'maxmemory', '0')
  client.disconnect()
  await held.queue.scan(full)
  assert.equal(await waiting(), 1)
  await looker.obliterate({ force: true })
})

test('Redis frozen: adding fails within seconds; Redis away: at once', async () => {
  held.redis.freeze()
  const startedAt = Date.now()
  await assert.rejects(held.queue.scan(await job()), /no answer within/)
  assert.ok(Date.now() - startedAt < 7000)
  held.redis.thaw()
  await held.redis.kill()
  await until('the connection to notice', () => !held.queue.reachable())
  await assert.rejects(held.queue.scan(await job()), /not reachable/)
  assert.deepEqual(await held.queue.counts(), [])
  await held.redis.restart()
  await until('the connection to come back', () => held.queue.reachable())
  await held.queue.scan(await job())
})
