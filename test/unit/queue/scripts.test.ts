// Our scripts in place of BullMQ's: they are the ones that run, and leave and find what BullMQ's own leave and find.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { createConsumer } from '../../../gateway/queue/consumer.ts'
import type { ScanJob } from '../../../gateway/queue/jobs.ts'
import { jobId } from '../../../gateway/queue/queue.ts'
import { PREFIX } from '../../../gateway/queue/redis.ts'
import { createSeal, type Seal } from '../../../gateway/queue/seal.ts'
import { type Held, startHeld } from '../../support/held.ts'
import { until } from '../../support/process.ts'

let held: Held
let redis: Redis
let seal: Seal
let theirs: Queue
const connection = () => ({ path: held.redis.url.slice('unix:'.length) })
const key = (name: string) => `${PREFIX}:scan:${name}`
before(async () => {
  held = await startHeld()
  redis = new Redis(connection())
  seal = await createSeal(held.config.spool)
  theirs = new Queue('scan', { connection: connection(), prefix: PREFIX })
})
after(async () => {
  await theirs.close()
  redis.disconnect()
  await held[Symbol.asyncDispose]()
})

const job = async (attempt = 1): Promise<ScanJob> => ({
  envelope: (await held.message()).envelope,
  attempt,
})
const consume = (run: (job: ScanJob) => Promise<void>, concurrency = 5) =>
  createConsumer<ScanJob>({
    ...{ redis: held.config.redis, queue: 'scan', concurrency, run, seal },
    fault: error => assert.fail(String(error)),
  })
const leftOver = async () =>
  (await redis.keys(key('*'))).filter(name => /-a\d+|:(wait|active|completed|failed)$/.test(name))

test('they are what runs: no event is written, and of a job that ended nothing stays', async () => {
  // Another version of BullMQ runs its own scripts, which write events: then ours want to be compared, and renamed.
  const done: number[] = []
  await using _ = consume(async ({ attempt }) => void done.push(attempt))
  const some = await job()
  const attempts = Array.from({ length: 40 }, (_, n) => n + 1)
  await Promise.all(attempts.map(attempt => held.queue.scan({ ...some, attempt })))
  await until('all to be done', () => done.length === 40)
  assert.deepEqual(
    done.toSorted((a, b) => a - b),
    attempts,
  )
  await until('all to be gone', async () => (await leftOver()).length === 0)
  assert.equal(await redis.xlen(key('events')), 0)
})

test('the first come are the first done, by a worker that takes one after the other too', async () => {
  const some = await job()
  for (let attempt = 1; attempt <= 20; attempt++) await held.queue.scan({ ...some, attempt })
  const done: number[] = []
  await using _ = consume(async ({ attempt }) => void done.push(attempt), 1)
  await until('all to be done', () => done.length === 20)
  assert.deepEqual(
    done,
    done.toSorted((a, b) => a - b),
  )
})

test('while one worker is full, the others are woken for what waits', async () => {
  const end = Promise.withResolvers<void>()
  const active: number[] = []
  const run = async ({ attempt }: ScanJob) => {
    active.push(attempt)
    await end.promise
  }
  const workers = [consume(run, 1), consume(run, 1), consume(run, 1)]
  const looks = async () => (await redis.client('LIST')) as string
  await until('all to wait', async () => (await looks()).split('cmd=bzpopmin').length === 4)
  const some = await job()
  const startedAt = Date.now()
  await Promise.all([1, 2, 3].map(attempt => held.queue.scan({ ...some, attempt })))
  await until('all to be busy', () => active.length === 3)
  // Nobody waited for the 5 seconds after which a worker looks by itself.
  assert.ok(Date.now() - startedAt < 4000)
  end.resolve()
  await Promise.all(workers.map(worker => worker[Symbol.asyncDispose]()))
})

test("BullMQ's own worker does what we add, and ours what its own queue adds", async () => {
  const ours = await job()
  await held.queue.scan(ours)
  const seen: string[] = []
  const worker = new Worker('scan', async found => void seen.push(found.data.sealed), {
    ...{ connection: connection(), prefix: PREFIX },
    removeOnComplete: { count: 0 },
  })
  await until('ours to be done', () => seen.length === 1)
  await until('it to be gone', async () => (await leftOver()).length === 0)
  await worker.close()
  const text = seal.open('scan', seen[0]) ?? ''
  assert.deepEqual(JSON.parse(text), ours)

  const done: ScanJob[] = []
  await using _ = consume(async found => void done.push(found))
  const attempts = 1
  await theirs.add('scan', { sealed: seen[0] }, { jobId: jobId(ours), attempts })
  await until('theirs to be done', () => done.length === 1)
  assert.deepEqual(done, [ours])
  await until('it to be gone', async () => (await leftOver()).length === 0)
})

test('who lost its lock to another ends nothing of it', async () => {
  const end = Promise.withResolvers<void>()
  let active = 0
  const run = async () => {
    active++
    await end.promise
  }
  const mine = await job()
  await using consumer = consume(run)
  await held.queue.scan(mine)
  await until('it to be active', () => active === 1)
  const lock = key(`${jobId(mine)}:lock`)
  await redis.set(lock, 'another', 'PX', 60_000)
  end.resolve()
  await until('it to be over here', () => consumer.active() === 0)
  // A second job that came to its end shows that the first was answered.
  await held.queue.scan({ ...mine, attempt: 2 })
  await until('the second to be gone', async () => {
    const found = await redis.exists(key(jobId({ ...mine, attempt: 2 })))
    return active === 2 && found === 0
  })
  assert.equal(await redis.get(lock), 'another')
  assert.deepEqual(await redis.lrange(key('active'), 0, -1), [jobId(mine)])
  assert.equal(await redis.exists(key(jobId(mine))), 1)
})
