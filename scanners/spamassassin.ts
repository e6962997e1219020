// Asks SpamAssassin's spamd for a spam score, over its own protocol.
import { z } from 'zod'
import type { Message } from '../gateway/message.ts'
import { CutShort, piecesFor } from './content.ts'
import { calledOff, deadlineOf } from './deadline.ts'
import { createEnginePool } from './engine-pool.ts'
import { type EngineSocket, openEngine, parseEngineAddress } from './engine-socket.ts'
import type { FailureKind, Finding, Probe, Scanner, Verdict } from './scanner.ts'
import { judgeSpamdReply } from './spamd-reply.ts'

/** `scanners.spamassassin` in the configuration. */
export const spamassassinSettings = z.strictObject({
  address: z.string().describe("spamd's socket, `tcp:127.0.0.1:783` or `unix:/run/spamd.sock`."),
  maxSizeBytes: z
    .int()
    .min(1024)
    .max(1_000_000_000)
    .default(512_000)
    .describe(
      'Larger content, in octets, is not sent to spamd and scores 0; its own clients stop at 500 KB.',
    ),
  concurrency: z.int().min(1).max(1000).default(5).describe('Scans at once.'),
  deadlineMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(25_000)
    .describe('Milliseconds a scan may take before it counts as `failed` (`slow`).'),
})
export type SpamassassinSettings = z.infer<typeof spamassassinSettings>

const TOO_LARGE: Verdict = { kind: 'scored', score: 0, symbols: ['SALLYPORT_TOO_LARGE'] }
const VERSION_DEADLINE_MS = 5_000
/** spamd tells its version only with a message, so it is asked once in a while, and after it was away. */
const VERSION_LOOK_MS = 300_000
const TINY = 'Subject: version\r\n\r\n'

/** Throws where the address can't be understood. */
export async function createSpamassassin(settings: SpamassassinSettings): Promise<Scanner> {
  const { address } = settings
  parseEngineAddress(address)
  const engines = createEnginePool([address], { concurrency: settings.concurrency, restMs: 0 })
  const closing = new AbortController()
  let program: string | undefined
  let lookedAt = 0

  async function scan(message: Message, outer: AbortSignal, probe?: Probe): Promise<Finding> {
    if (message.content.sizeBytes > settings.maxSizeBytes) return { verdict: TOO_LARGE }
    using deadline = deadlineOf(settings.deadlineMs, outer, closing.signal)
    const probing = probe?.address !== undefined
    const engine = await engines.acquire(deadline.signal, undefined, probing)
    if (!engine && !engines.isTrusted())
      return { verdict: failed('down', 'it has not passed its canary') }
    if (!engine) return { verdict: failed('slow', 'no connection was free in time') }
    const verdict = await ask(address, message, deadline.signal)
    engine.release(calledOff(outer) ? 'unknown' : verdict.kind === 'failed' ? 'failed' : 'answered')
    return { verdict }
  }

  async function version(): Promise<{ version: string } | undefined> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(VERSION_DEADLINE_MS)])
    const reply = await converse(address, signal, async socket => {
      socket.end('PING SPAMC/1.5\r\n\r\n')
    })
    const protocol = /^SPAMD\/(\d+\.\d+) 0 PONG\r\n/.exec(reply.text)?.[1]
    if (!closing.signal.aborted) engines.mark(address, protocol !== undefined)
    if (protocol === undefined) {
      lookedAt = 0
      program = undefined
      return undefined
    }
    if (Date.now() - lookedAt >= VERSION_LOOK_MS) {
      lookedAt = Date.now()
      program = (await programVersion(address, signal)) ?? program
    }
    return { version: program ?? `spamd protocol ${protocol}` }
  }

  return {
    name: 'spamassassin',
    deadlineMs: settings.deadlineMs,
    sees: 'spam',
    scan,
    trust: engines.trust,
    version,
    engines: () => engines.states(),
    [Symbol.asyncDispose]: async () => closing.abort(),
  }
}

const failed = (failure: FailureKind, cause: string): Verdict => ({
  kind: 'failed',
  failure,
  cause,
})

async function ask(address: string, message: Message, signal: AbortSignal): Promise<Verdict> {
  const { content } = message
  const reply = await converse(address, signal, async socket => {
    socket.write(`SYMBOLS SPAMC/1.5\r\nContent-length: ${content.sizeBytes}\r\n\r\n`)
    await using pieces = piecesFor(content, socket)
    for (let piece = await pieces.next(); piece; piece = await pieces.next()) socket.write(piece)
  })
  if (signal.aborted) return failed('slow', 'no verdict before the deadline')
  if (reply.unreadable !== undefined) return failed('garbled', reply.unreadable)
  if (reply.text === '' && reply.fault !== undefined) return failed('down', reply.fault)
  return judgeSpamdReply(reply.text)
}

/** `SpamAssassin 4.0.1`; undefined where it does not say before `signal` aborts. */
async function programVersion(address: string, signal: AbortSignal): Promise<string | undefined> {
  const reply = await converse(address, signal, async socket => {
    socket.end(`HEADERS SPAMC/1.5\r\nContent-length: ${TINY.length}\r\n\r\n${TINY}`)
  })
  return /^X-Spam-Checker-Version: (SpamAssassin \d[\w.-]{0,30}) /m.exec(reply.text)?.[1]
}

type SpamdReply = { text: string; fault?: string; unreadable?: string }

/** Opens, lets `speak` speak, and reads until spamd closes. Never rejects; `signal` cuts it. */
async function converse(
  address: string,
  signal: AbortSignal,
  speak: (socket: EngineSocket) => Promise<void>,
): Promise<SpamdReply> {
  const socket = await openEngine(address, signal)
  try {
    if (!socket.destroyed) {
      await speak(socket)
      await socket.ended
    }
    const fault = socket.fault
    return { text: socket.reply, ...(fault ? { fault: fault.code ?? fault.message } : {}) }
  } catch (error) {
    if (error instanceof CutShort) return { text: socket.reply, fault: 'cut off while sending' }
    return { text: '', unreadable: `cannot read content: ${(error as Error).message}` }
  } finally {
    socket.destroy()
  }
}
