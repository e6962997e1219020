// Takes jobs from a queue and runs them; what a job throws is a bug, told and survived.
import { type Job, Worker } from 'bullmq'
import type { Config } from '../config/schema.ts'
import type { QueueName, SealedJob } from './queue.ts'
import { connectRedis, PREFIX } from './redis.ts'
import { createRetake } from './retake.ts'
import type { Seal } from './seal.ts'

export type Consumer = {
  /** Takes no new jobs; resolves when the active ones are done, or after `graceMs`. */
  stop(graceMs: number): Promise<void>
  active(): number
} & AsyncDisposable

export type ConsumerOptions<T> = {
  redis: Config['redis']
  seal: Seal
  queue: QueueName
  /** Jobs at once in this process. */
  concurrency: number
  /** `again`: a process that had it before died, or seemed to. */
  run(job: T, again: boolean): Promise<void>
  fault(error: unknown, id: string | undefined): void
}

export function createConsumer<T>(options: ConsumerOptions<T>): Consumer {
  const redis = connectRedis(options.redis, 'wait')
  let active = 0
  const worker = new Worker<SealedJob>(
    options.queue,
    async (job: Job<SealedJob>) => {
      active++
      try {
        const text = options.seal.open(options.queue, job.data?.sealed)
        if (text === undefined) throw new Error('a job that none of us made is not done')
        await options.run(JSON.parse(text) as T, job.stalledCounter > 0)
      } catch (error) {
        options.fault(error, job.id)
      } finally {
        active--
      }
    },
    {
      connection: redis,
      prefix: PREFIX,
      concurrency: options.concurrency,
      // A worker's jobs are taken up by another this long after it was last heard of; the claim makes one taken up too
      // soon harmless. Where it is known to be dead, they are freed at once, and the next check finds them.
      lockDuration: 10_000,
      stalledInterval: 1000,
      // Whoever takes it up after two deaths leaves it alone, and sees to it that it is tried alone.
      maxStalledCount: 2,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    },
  )
  const retake = createRetake({ redis, queue: options.queue, worker: worker.id })
  // Redis that went away is told by the queue's connection; a lost lock shows in the claim.
  worker.on('error', () => undefined)

  async function stop(graceMs: number): Promise<void> {
    retake[Symbol.dispose]()
    const timer = AbortSignal.timeout(graceMs)
    const late = new Promise<void>(resolve => {
      timer.addEventListener('abort', () => resolve(), { once: true })
    })
    await Promise.race([worker.close().catch(() => undefined), late])
    // Closing goes on waiting for what is still active, which nothing can hurry: its process is about to end.
    redis.disconnect()
  }

  return { stop, active: () => active, [Symbol.asyncDispose]: () => stop(0) }
}
