// Asks rspamd over HTTP (/checkv2) for a spam score, and what it found of SPF and DKIM.
import { createReadStream } from 'node:fs'
import type { Dispatcher } from 'undici'
import { z } from 'zod'
import type { Message } from '../gateway/message.ts'
import { calledOff, deadlineOf } from './deadline.ts'
import { createEnginePool } from './engine-pool.ts'
import { judgeAnswer } from './rspamd-reply.ts'
import type { FailureKind, Finding, Probe, Scanner } from './scanner.ts'

/** `scanners.rspamd` in the configuration. */
export const rspamdSettings = z.strictObject({
  url: z.string().describe("rspamd's normal worker, `http://127.0.0.1:11333`."),
  password: z.string().optional().describe("The worker's password, where it has one."),
  passwordFile: z.string().optional().describe('A file with that password, instead.'),
  concurrency: z.int().min(1).max(1000).default(20).describe('Connections to rspamd at once.'),
  deadlineMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(20_000)
    .describe('Milliseconds a scan may take before it counts as `failed` (`slow`).'),
})
export type RspamdSettings = z.infer<typeof rspamdSettings>

/** Recipients told to rspamd; more would only lengthen the request. */
const RECIPIENTS_LIMIT = 100
const ANSWER_LIMIT_BYTES = 4_194_304
/** rspamd may close an idle connection just as we use it; asking again does no harm. */
const MOST_ATTEMPTS = 2
const VERSION_DEADLINE_MS = 5_000

/** A canary is not to be learnt from, and not to show in rspamd's log, history and statistics. */
const UNCOUNTED = { Flags: 'no_log,no_stat' }

/** Throws where the URL can't be understood. */
export async function createRspamd(settings: RspamdSettings): Promise<Scanner> {
  const { Pool } = await import('undici')
  const url = new URL(settings.url)
  const http = new Pool(url.origin, {
    connections: settings.concurrency,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  // Not the URL as written: that may hold a password, and this is shown in log and metrics.
  const address = url.origin
  const engines = createEnginePool([address], {
    concurrency: settings.concurrency,
    restMs: 0,
  })
  const closing = new AbortController()

  async function ask(message: Message, signal: AbortSignal, probe?: Probe): Promise<Finding> {
    const body = createReadStream(message.content.path)
    try {
      const response = await http.request({
        method: 'POST',
        path: '/checkv2',
        headers: { ...headersOf(message, settings.password), ...(probe ? UNCOUNTED : {}) },
        body,
        signal,
      })
      const text = await boundedText(response.body)
      if (response.statusCode !== 200) return failed(failureOf(response.statusCode), text)
      if (text === undefined) return failed('garbled', 'answer too long')
      return judgeAnswer(text, message.envelope.reversePath)
    } catch (error) {
      const failure = signal.aborted ? 'slow' : kindOf(error)
      return failed(failure, signal.aborted ? 'no answer before the deadline' : wordsOf(error))
    } finally {
      body.destroy()
    }
  }

  async function scan(message: Message, outer: AbortSignal, probe?: Probe): Promise<Finding> {
    using deadline = deadlineOf(settings.deadlineMs, outer, closing.signal)
    const probing = probe?.address !== undefined
    const engine = await engines.acquire(deadline.signal, undefined, probing)
    if (!engine && !engines.isTrusted()) return failed('down', 'it has not passed its canary')
    if (!engine) return failed('slow', 'no connection was free in time')
    let finding = await ask(message, deadline.signal, probe)
    for (let tries = 1; tries < MOST_ATTEMPTS && isDown(finding); tries++)
      finding = await ask(message, deadline.signal, probe)
    const blamed = finding.verdict.kind === 'failed' && finding.verdict.failure !== 'limit'
    engine.release(calledOff(outer) ? 'unknown' : blamed ? 'failed' : 'answered')
    return finding
  }

  async function version(): Promise<{ version: string } | undefined> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(VERSION_DEADLINE_MS)])
    try {
      const { statusCode, headers, body } = await http.request({
        method: 'GET',
        path: '/ping',
        signal,
      })
      await boundedText(body)
      engines.mark(address, statusCode === 200)
      const server = /^[\x20-\x7e]{1,80}$/.exec(String(headers.server ?? ''))?.[0]
      return statusCode === 200 ? { version: server ?? 'rspamd' } : undefined
    } catch {
      if (!closing.signal.aborted) engines.mark(address, false)
      return undefined
    }
  }

  return {
    name: 'rspamd',
    deadlineMs: settings.deadlineMs,
    sees: 'spam',
    scan,
    trust: engines.trust,
    version,
    engines: () => engines.states(),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await http.destroy()
    },
  }
}

/** Names and addresses come from the client: no control character may reach the request. */
const headerValue = (text: string): string =>
  Buffer.from(text.replace(/[\x00-\x1f\x7f]/g, '?').slice(0, 1000), 'utf8').toString('latin1')

function headersOf(
  { envelope, content }: Message,
  password?: string,
): Record<string, string | string[]> {
  const recipients = envelope.recipients.slice(0, RECIPIENTS_LIMIT)
  return {
    'Content-Length': String(content.sizeBytes),
    IP: headerValue(envelope.client.address),
    Helo: headerValue(envelope.client.helo),
    From: headerValue(envelope.reversePath),
    Rcpt: recipients.map(recipient => headerValue(recipient.address)),
    'Queue-Id': headerValue(envelope.id),
    ...(envelope.client.tls ? { 'TLS-Version': headerValue(envelope.client.tls.version) } : {}),
    ...(password === undefined ? {} : { Password: headerValue(password) }),
  }
}

/** Undefined where it is longer than the limit; the connection is then closed. */
async function boundedText(body: Dispatcher.ResponseData['body']): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of body) {
    sizeBytes += (chunk as Buffer).length
    if (sizeBytes > ANSWER_LIMIT_BYTES) return undefined
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function failed(failure: FailureKind, cause = 'no words'): Finding {
  const words = cause.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 120)
  return { verdict: { kind: 'failed', failure, cause: words } }
}

const isDown = ({ verdict }: Finding): boolean =>
  verdict.kind === 'failed' && verdict.failure === 'down'

/** 413: above rspamd's max_message; 5xx: it can't work now. */
const failureOf = (status: number): FailureKind =>
  status === 413 ? 'limit' : status >= 500 ? 'down' : 'garbled'

const DOWN =
  /^(ECONN|EPIPE|ENOTFOUND|EAI_|EHOST|ENET|ETIMEDOUT|UND_ERR_(SOCKET|CONNECT_TIMEOUT|CLOSED|DESTROYED))/
const kindOf = (error: unknown): FailureKind => (DOWN.test(codeOf(error)) ? 'down' : 'garbled')
const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code ?? '')
const wordsOf = (error: unknown): string => `${codeOf(error)} ${(error as Error).message}`.trim()
