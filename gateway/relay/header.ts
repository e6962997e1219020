// The fields we put on top, and the removal of forged ones of ours; every other octet stays as it is.
import net from 'node:net'
import type { Envelope } from '../message.ts'

const FORGED = 'x-sallyport-'
/** RFC 5322 §2.1.1, without CRLF. */
const LONGEST_LINE = 998

/** Our fields, each ending with CRLF: Received first, then the result fields. ASCII only. */
export function ourFields(
  envelope: Envelope,
  hostname: string,
  recipients: readonly string[],
  fields: readonly string[],
): Buffer {
  const lines = [receivedField(envelope, hostname, recipients)]
  for (const field of fields) {
    // A field's value can hold what a client sent: never let it start a line of its own.
    const line = field.replace(/[\x00-\x1f\x7f]+/g, ' ').replace(/[^\x20-\x7e]/g, '?')
    lines.push(line.trimEnd().slice(0, LONGEST_LINE))
  }
  return Buffer.from(lines.map(line => `${line}\r\n`).join(''), 'latin1')
}

/** RFC 5321 §4.4; §7.2 and §7.6: `for` only with a single recipient, so that nobody learns of a blind copy. */
export function receivedField(
  envelope: Envelope,
  hostname: string,
  recipients: readonly string[],
): string {
  const { client, id, smtpUtf8, receivedAt } = envelope
  const [only] = recipients
  const named = recipients.length === 1 && only !== undefined && /^[\x21-\x7e]{1,320}$/.test(only)
  const end = `${named ? `\r\n\tfor <${only}>` : ''}; ${dateTime(receivedAt)}`
  if (envelope.kind === 'notification') return `Received: by ${hostname} id ${id}${end}`
  const helo = client.helo.replace(/[^A-Za-z0-9.:_[\]-]/g, '?').slice(0, 255) || 'unknown'
  const literal = net.isIPv6(client.address) ? `[IPv6:${client.address}]` : `[${client.address}]`
  // RFC 3848 and RFC 6531 §3.7.3.
  const protocol = `${smtpUtf8 ? 'UTF8SMTP' : 'ESMTP'}${client.tls ? 'S' : ''}`
  const tls = client.tls ? ` (${client.tls.version} ${client.tls.cipher})` : ''
  return `Received: from ${helo} (${literal})\r\n\tby ${hostname} with ${protocol}${tls} id ${id}${end}`
}

/** RFC 5322 §3.3, in UTC: `Tue, 24 Nov 2026 14:03:31 +0000`. */
export const dateTime = (ms: number): string => new Date(ms).toUTCString().replace('GMT', '+0000')

export type HeaderFilter = {
  /** What of this piece is to be sent on. */
  push(chunk: Buffer): Buffer[]
  /** What was held back, once the content has ended. */
  flush(): Buffer[]
  /** The header section has ended: all that follows is passed on as it is. */
  readonly done: boolean
  /** An octet above 127 in what is kept of the header section. */
  readonly eightBit: boolean
}

/** Removes header fields named `X-Sallyport-…`, with their continuation lines. Holds back at most 12 octets. */
export function createHeaderFilter(): HeaderFilter {
  let held: Buffer = Buffer.alloc(0)
  let atLineStart = true
  let removing = false
  let done = false
  let eightBit = false

  const walk = (data: Buffer, ended: boolean): Buffer[] => {
    const kept: Buffer[] = []
    let at = 0
    while (at < data.length && !done) {
      if (atLineStart) {
        const line = judgeLine(data.subarray(at, at + FORGED.length), ended)
        if (line === 'undecided') {
          held = data.subarray(at)
          return kept
        }
        if (line === 'blank') {
          done = true
          break
        }
        if (line !== 'continuation') removing = line === 'forged'
      }
      const newline = data.indexOf(0x0a, at)
      const end = newline < 0 ? data.length : newline + 1
      if (!removing) {
        const piece = data.subarray(at, end)
        eightBit ||= piece.some(octet => octet > 127)
        keep(kept, data, at, piece)
      }
      atLineStart = newline >= 0
      at = end
    }
    if (at < data.length) keep(kept, data, at, data.subarray(at))
    return kept
  }

  return {
    push(chunk) {
      if (done) return [chunk]
      const data = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      held = Buffer.alloc(0)
      return walk(data, false)
    },
    flush() {
      const data = held
      held = Buffer.alloc(0)
      return walk(data, true)
    },
    get done() {
      return done
    },
    get eightBit() {
      return eightBit
    },
  }
}

/** Adds a piece of `data` that starts at `at`, as part of the piece before it where the two touch. */
function keep(kept: Buffer[], data: Buffer, at: number, piece: Buffer): void {
  const last = kept.at(-1)
  if (last !== undefined && last.byteOffset + last.length === data.byteOffset + at) {
    kept[kept.length - 1] = data.subarray(at - last.length, at + piece.length)
  } else kept.push(piece)
}

type Line = 'blank' | 'continuation' | 'forged' | 'other' | 'undecided'

function judgeLine(start: Buffer, ended: boolean): Line {
  const text = start.toString('latin1').toLowerCase()
  if (text.startsWith('\n') || text.startsWith('\r\n')) return 'blank'
  if (text.startsWith(' ') || text.startsWith('\t')) return 'continuation'
  if (text === FORGED) return 'forged'
  const mayBecome = text === '\r' || FORGED.startsWith(text)
  return mayBecome && !ended ? 'undecided' : 'other'
}
