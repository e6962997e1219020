// One mail transaction on an open connection: what was answered to what, and whether the final dot may have been sent.
import type { Connection } from './connection.ts'
import { createFeed } from './feed.ts'
import { createReplyReader, type ServerReply } from './replies.ts'
import type { Source } from './source.ts'
import type { Timeouts } from './timeouts.ts'

export type TransactionOptions = {
  lmtp: boolean
  reversePath: string
  /** Distinct addresses. */
  recipients: readonly string[]
  eightBit: boolean
  /** Say SMTPUTF8 even if all addresses are ASCII. */
  smtpUtf8: boolean
  source: Source
  mayFinish(): Promise<boolean>
  timeouts: Timeouts
  signal?: AbortSignal | undefined
}

/**
 * How a transaction ended. `answered`: every question has its reply. `stopped`: `mayFinish` said no.
 * `content`: the content could not be read as it should be.
 */
export type Ended = {
  kind: 'answered' | 'lost' | 'timeout' | 'aborted' | 'stopped' | 'content'
  detail: string
}

/** The replies by what they answer; those after the dot one for SMTP, one per accepted recipient for LMTP. */
export type Dialogue = {
  lmtp: boolean
  mail?: ServerReply
  /** In the order of the recipients. */
  rcpt: ServerReply[]
  data?: ServerReply
  dots: ServerReply[]
  /** From here on the next hop may have the whole message. */
  dotSent: boolean
  ended: Ended
  /** The connection can carry another transaction. */
  reusable: boolean
}

export const is2xx = (reply: ServerReply | undefined) =>
  reply !== undefined && reply.code >= 200 && reply.code < 300

/**
 * Never rejects, never sends a final dot after anything less than the whole content. Replies are read off the wire,
 * since the library's errors don't tell which recipient got which, nor what was answered before a connection broke.
 */
export function transact(connection: Connection, options: TransactionOptions): Promise<Dialogue> {
  const { timeouts, recipients } = options
  const d: Dialogue = {
    lmtp: options.lmtp,
    rcpt: [],
    dots: [],
    dotSent: false,
    ended: { kind: 'lost', detail: '' },
    reusable: false,
  }
  const { smtp } = connection
  const socket = smtp._socket
  if (!socket || !connection.alive()) {
    d.ended.detail = 'the connection was closed'
    return Promise.resolve(d)
  }
  connection.transactions++
  return new Promise(resolve => {
    let over = false
    const end = (ended: Ended) => {
      if (over) return
      over = true
      deadline.clear()
      contentDeadline.clear()
      socket.off('data', read)
      options.signal?.removeEventListener('abort', abort)
      smtp.off('end', gone)
      d.ended = ended
      // Nothing but a whole transaction leaves the connection in a state that both sides agree on.
      d.reusable =
        ended.kind === 'answered' && d.dotSent && d.dots.at(-1)?.code !== 421 && connection.alive()
      if (ended.kind !== 'answered') connection.close()
      feed.stop()
      resolve(d)
    }
    const late = (what: string) => () => end({ kind: 'timeout', detail: `timeout ${what}` })
    const deadline = createDeadline()
    const contentDeadline = createDeadline()
    const abort = () => end({ kind: 'aborted', detail: 'interrupted' })
    const gone = () => setImmediate(end, { kind: 'lost', detail: 'the connection was closed' })
    const read = createReplyReader(reply => {
      note(d, options, reply)
      if (d.dots.length === 0 && !d.dotSent)
        deadline.set(timeouts.commandMs, late('after a command'))
      // RFC 5321 has no reply before the final dot: whatever it means, we can't go on.
      if (d.dots.length > 0 && !d.dotSent) end(answeredTooSoon(d))
    })
    const feed = createFeed(options.source, {
      refusal: () => (d.data?.code === 354 ? undefined : `DATA answered with ${d.data?.text}`),
      progress() {
        deadline.set(timeouts.chunkMs, late('while sending content'))
      },
      async finish() {
        const may = await options.mayFinish().catch(() => false)
        if (over) return false
        if (!may) end({ kind: 'stopped', detail: 'not to be sent any more' })
        else {
          d.dotSent = true
          contentDeadline.clear()
          deadline.set(timeouts.finalMs, late('after the final dot'))
          // What comes now, the final dot with it, leaves in one segment.
          socket.cork()
          setImmediate(() => socket.uncork())
        }
        return may
      },
      unsentBytes: () => socket.writableLength,
      failed: (kind, detail) => end({ kind, detail }),
    })
    deadline.set(timeouts.commandMs, late('after MAIL'))
    contentDeadline.set(timeouts.commandMs * 2 + timeouts.contentMs, late('in all'))
    socket.prependListener('data', read)
    smtp.once('end', gone)
    options.signal?.addEventListener('abort', abort)
    if (options.signal?.aborted) return abort()
    connection.forceSmtpUtf8(options.smtpUtf8)
    const envelope = {
      from: options.reversePath,
      to: [...recipients],
      size: options.source.sizeBytes,
      use8BitMime: options.eightBit,
    }
    smtp.send(envelope, feed.message, error => {
      const detail = error?.message.replace(/\s+/g, ' ').slice(0, 500) ?? ''
      if (isComplete(d, options)) end({ kind: 'answered', detail })
      else end({ kind: 'lost', detail: detail || 'the replies do not fit the commands' })
    })
  })
}

/** Files a reply under what it answers: they come in the order of the commands (RFC 2920 §3.1). */
function note(d: Dialogue, options: TransactionOptions, reply: ServerReply): void {
  // RFC 5321 §3.8: 421 can answer anything, and nothing follows it.
  if (d.mail === undefined) d.mail = reply
  else if (d.rcpt.length < options.recipients.length) d.rcpt.push(reply)
  else if (d.data === undefined) d.data = reply
  else if (d.rcpt.some(is2xx)) d.dots.push(reply)
}

function isComplete(d: Dialogue, options: TransactionOptions): boolean {
  if (d.mail === undefined) return false
  if (!is2xx(d.mail)) return true
  if (d.rcpt.length < options.recipients.length) return false
  const accepted = d.rcpt.filter(is2xx).length
  if (accepted === 0) return true
  if (d.data === undefined) return false
  if (d.data.code !== 354) return true
  return d.dotSent && d.dots.length === (options.lmtp ? accepted : 1)
}

/** A refusal in the middle of the content is one; an acceptance of half a message is none. */
function answeredTooSoon(d: Dialogue): Ended {
  const [reply] = d.dots
  if (reply && reply.code >= 400) return { kind: 'lost', detail: reply.text }
  d.dots = []
  return { kind: 'lost', detail: `answered before the final dot: ${reply?.text}` }
}

function createDeadline() {
  let timer: NodeJS.Timeout | undefined
  const clear = () => clearTimeout(timer)
  return {
    clear,
    set(ms: number, expired: () => void) {
      clear()
      timer = setTimeout(expired, ms)
    },
  }
}
