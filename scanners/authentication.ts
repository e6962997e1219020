// Whether a message's reverse-path can be believed (SPF, DKIM), asked only before a DSN where rspamd hasn't said.
import { open } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import type { Content, Message } from '../gateway/message.ts'
import { reversePathDomain } from './alignment.ts'
import type { AuthenticationTask } from './authentication-worker.ts'
import { deadlineOf } from './deadline.ts'
import { createEnginePool } from './engine-pool.ts'
import type { Authentication } from './scanner.ts'

export type AuthenticationOptions = {
  /** Name servers, `127.0.0.1:53`; the system's where absent. */
  servers?: string[]
  /** Our own name, for SPF's macros. */
  hostname: string
  /** Milliseconds for one message, waiting for a thread included; 20,000 by default. */
  deadlineMs?: number
}

export type Authenticator = {
  /** Never rejects. What can't be found out in time, or isn't worth the risk, is not believed. */
  authenticate(message: Message, signal?: AbortSignal): Promise<Authentication>
}

/** mailauth's work grows with the square of a field's folds, and without end with signatures. */
const HEADER_SECTION_LIMIT_BYTES = 65_536
const SIGNATURES_LIMIT = 20
const FOLDS_LIMIT = 1_000
const THREADS = 2
const THREAD_MEMORY_MB = 128
const DEADLINE_MS = 20_000

const UNBELIEVED: Authentication = { spf: false, dkim: false }

export function createAuthentication(options: AuthenticationOptions): Authenticator {
  const threads = createEnginePool(['thread'], { concurrency: THREADS, restMs: 0 })
  const never = new AbortController().signal
  return {
    async authenticate(message, signal = never) {
      const { envelope, content } = message
      const domain = reversePathDomain(envelope.reversePath)
      if (domain === undefined || !(await fitToVerify(content))) return UNBELIEVED
      using deadline = deadlineOf(options.deadlineMs ?? DEADLINE_MS, signal)
      const thread = await threads.acquire(deadline.signal)
      if (!thread) return UNBELIEVED
      try {
        const task: AuthenticationTask = {
          path: content.path,
          address: envelope.client.address,
          helo: envelope.client.helo,
          reversePath: envelope.reversePath,
          domain,
          hostname: options.hostname,
          ...(options.servers ? { servers: options.servers } : {}),
        }
        return await inThread(task, deadline.signal)
      } finally {
        thread.release('answered')
      }
    },
  }
}

/** Runs the task in a new thread, which is ended with the answer or with `signal`, whatever it is busy with. */
async function inThread(task: AuthenticationTask, signal: AbortSignal): Promise<Authentication> {
  const worker = new Worker(new URL('./authentication-worker.ts', import.meta.url), {
    workerData: task,
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: THREAD_MEMORY_MB },
  })
  try {
    return await new Promise<Authentication>(resolve => {
      worker.once('message', resolve)
      worker.once('error', () => resolve(UNBELIEVED))
      worker.once('exit', () => resolve(UNBELIEVED))
      signal.addEventListener('abort', () => resolve(UNBELIEVED), { once: true })
      if (signal.aborted) resolve(UNBELIEVED)
    })
  } finally {
    await worker.terminate()
  }
}

async function fitToVerify(content: Content): Promise<boolean> {
  try {
    await using file = await open(content.path)
    const room = Buffer.alloc(HEADER_SECTION_LIMIT_BYTES)
    const { bytesRead } = await file.read(room, 0, room.length, 0)
    return headerFitToVerify(room.toString('latin1', 0, bytesRead), bytesRead < room.length)
  } catch {
    return false
  }
}

/** `whole`: the text given is all there is of the message, so a missing end of the header section is no fault. */
export function headerFitToVerify(text: string, whole: boolean): boolean {
  const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n')
  if (end < 0 && !whole) return false
  const lines = (end < 0 ? text : text.slice(0, end)).split('\r\n')
  const count = (pattern: RegExp) => lines.filter(line => pattern.test(line)).length
  return (
    count(/^From[ \t]*:/i) === 1 &&
    count(/^DKIM-Signature[ \t]*:/i) <= SIGNATURES_LIMIT &&
    count(/^[ \t]/) <= FOLDS_LIMIT
  )
}
