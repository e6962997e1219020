// A spool, a real Redis and the session's side of the commit point, for tests that play the worker themselves.

import { writeFile } from 'node:fs/promises'
import { Queue } from 'bullmq'
import { type Config, configSchema } from '../../gateway/config/schema.ts'
import type { Envelope, Message } from '../../gateway/message.ts'
import { createHints, type Hints } from '../../gateway/queue/hints.ts'
import { createQueue, jobId, type WorkQueue } from '../../gateway/queue/queue.ts'
import { PREFIX } from '../../gateway/queue/redis.ts'
import { createSeal } from '../../gateway/queue/seal.ts'
import type { Answer, HoldDot } from '../../gateway/receive/answer.ts'
import { createHold } from '../../gateway/receive/hold.ts'
import { ownIdentity, writeIdentity } from '../../gateway/spool/identity.ts'
import { createSpool, type Spool } from '../../gateway/spool/spool.ts'
import { type RecordedEvents, recordEvents } from './events.ts'
import { temporaryFolder, until } from './process.ts'
import { startRedis, type TestRedis } from './servers/redis.ts'

export type Held = {
  spool: Spool
  redis: TestRedis
  queue: WorkQueue
  hints: Hints
  events: RecordedEvents
  config: Config
  hold: HoldDot
  stopping: AbortController
  /** A message in the spool, as a session would have put it there. */
  message(recipients?: string[], content?: string): Promise<Message>
  /** Resolves once the session's job is in Redis. */
  asked(message: Message): Promise<unknown>
  /** Holds its dot; the client stays unless `leave` is aborted. */
  carry(message: Message, leave?: AbortSignal): Promise<Answer>
} & AsyncDisposable

export async function startHeld(change: Record<string, unknown> = {}): Promise<Held> {
  const stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const redis = await startRedis({ unix: true })
  stack.defer(() => redis.stop())
  const config = {
    spool: folder.path,
    ...configSchema.parse({
      hostname: 'mx.test',
      state: folder.path,
      listen: [{ address: '127.0.0.1:0' }],
      postmaster: 'postmaster@example.org',
      domains: {
        'example.org': { nextHop: 'smtp://127.0.0.1:1' },
        'later.example': { nextHop: 'smtp://127.0.0.1:1', deferred: 'tempfail' },
      },
      redis: redis.url,
      ...change,
    }),
  } as Config
  const events = recordEvents()
  const spool = stack.use(
    await createSpool({
      folder: folder.path,
      identity: ownIdentity(),
      corrupted: (file, cause) => events.spoolCorrupt({ file, cause }),
    }),
  )
  const seal = await createSeal(folder.path)
  const queue = stack.use(await createQueue(config.redis, seal, () => undefined))
  const hints = stack.use(createHints(config.redis, writeIdentity(ownIdentity()), seal))
  const stopping = new AbortController()
  const looker = new Queue('scan', { connection: { path: redis.url.slice(5) }, prefix: PREFIX })
  // Where a test took Redis away it may still be on its way back.
  looker.on('error', () => undefined)
  stack.defer(() => looker.close().catch(() => undefined))
  const hold = createHold({
    ...{ spool, queue, hints, events },
    config: () => config,
    stopping: stopping.signal,
  })
  return {
    ...{ spool, redis, queue, hints, events, config, hold, stopping },
    async message(recipients = ['a@example.org'], content = 'Subject: x\r\n\r\nhello\r\n') {
      const id = spool.newId()
      await writeFile(spool.contentPath(id), content)
      return {
        envelope: envelopeFor(id, recipients, content),
        content: { path: spool.contentPath(id), sizeBytes: content.length },
      }
    },
    asked: ({ envelope }) => until('the job', () => looker.getJob(jobId({ envelope, attempt: 1 }))),
    carry: (message, leave = new AbortController().signal) => hold(message, leave),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

function envelopeFor(id: string, recipients: string[], content: string): Envelope {
  return {
    id,
    receivedAt: Date.now(),
    client: { address: '127.0.0.2', port: 1000, helo: 'client.test' },
    reversePath: 'sender@example.net',
    recipients: recipients.map(address => ({
      address,
      domain: address.slice(address.lastIndexOf('@') + 1),
    })),
    eightBit: false,
    smtpUtf8: false,
    sizeBytes: content.length,
    sha256: '',
    kind: 'mail',
    fingerprint: `f${Buffer.from(content).toString('hex').slice(-38)}`,
  }
}
