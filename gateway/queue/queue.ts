// The queues `scan` and `relay`, as their askers see them: add, or know within seconds that it didn't work.
import { Queue } from 'bullmq'
import type { Config } from '../config/schema.ts'
import type { RelayJob, ScanJob } from './jobs.ts'
import { connectRedis, PREFIX, whenReady } from './redis.ts'
import type { Seal } from './seal.ts'

export const QUEUES = ['scan', 'relay'] as const
export type QueueName = (typeof QUEUES)[number]

/** An add that takes longer counts as failed. It may still happen: the claim makes a late job harmless. */
const ADD_DEADLINE_MS = 5000
const START_DEADLINE_MS = 30_000

/** Jobs are removed when they end: a retained job would block another of its id, and the log is the record. */
const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true, attempts: 1 } as const

/** What lies in Redis. */
export type SealedJob = { sealed: string }

export type WorkQueue = {
  /** Adds a job, or does nothing where one of this id is waiting or active. Rejects within 5 s where Redis is away. */
  scan(job: ScanJob): Promise<void>
  relay(job: RelayJob): Promise<void>
  /** Whether a job for this attempt is waiting or active; false where Redis can't say. */
  underWay(job: ScanJob): Promise<boolean>
  /** Jobs by queue and state. */
  counts(): Promise<{ queue: QueueName; state: string; count: number }[]>
  reachable(): boolean
} & AsyncDisposable

/** Names the attempt, so that the sweep may add the same attempt twice and it runs once. */
export const jobId = (job: { envelope: { id: string }; attempt: number }): string =>
  `${job.envelope.id}-a${job.attempt}`

/** Rejects where Redis can't be reached within 30 seconds. */
export async function createQueue(
  setting: Config['redis'],
  seal: Seal,
  changed: (up: boolean, cause?: string) => void,
): Promise<WorkQueue> {
  const redis = connectRedis(setting, 'ask', changed)
  try {
    await whenReady(redis, START_DEADLINE_MS)
  } catch (error) {
    redis.disconnect()
    throw error
  }
  const open = (name: QueueName) => {
    const queue = new Queue(name, {
      connection: redis,
      prefix: PREFIX,
      skipWaitingForReady: true,
      defaultJobOptions: JOB_OPTIONS,
      streams: { events: { maxLen: 100 } },
    })
    queue.on('error', () => undefined) // told by the connection itself
    return queue
  }
  const queues = { scan: open('scan'), relay: open('relay') }

  async function add(name: QueueName, job: ScanJob | RelayJob): Promise<void> {
    if (redis.status !== 'ready') throw new Error('Redis is not reachable')
    const sealed: SealedJob = { sealed: seal.close(name, JSON.stringify(job)) }
    await within(ADD_DEADLINE_MS, queues[name].add(name, sealed, { jobId: jobId(job) }))
  }

  return {
    scan: job => add('scan', job),
    relay: job => add('relay', job),
    reachable: () => redis.status === 'ready',
    async underWay(job) {
      if (redis.status !== 'ready') return false
      const found = Promise.all(QUEUES.map(name => queues[name].getJob(jobId(job))))
      return (await within(ADD_DEADLINE_MS, found).catch(() => [])).some(one => one != null)
    },
    async counts() {
      if (redis.status !== 'ready') return []
      const rows = QUEUES.map(async queue => {
        const counts = await queues[queue].getJobCounts('waiting', 'active', 'delayed')
        return Object.entries(counts).map(([state, count]) => ({ queue, state, count }))
      })
      return (await within(ADD_DEADLINE_MS, Promise.all(rows))).flat()
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(QUEUES.map(name => within(1000, queues[name].close())))
      redis.disconnect()
    },
  }
}

async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
    promise.catch(() => undefined)
  }
}
