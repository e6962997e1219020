// The fields we put on top, and the removal of forged ones of ours; every other octet stays as it is.
import net from 'node:net'
import type { Envelope } from '../message.ts'

const FORGED = Buffer.from('x-sallyport-')
const FORGED_LOUD = Buffer.from('X-SALLYPORT-')
const [TAB, LF, CR, SPACE] = [0x09, 0x0a, 0x0d, 0x20]
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
    let from = 0
    const keepUntil = (end: number) => {
      if (end > from) kept.push(data.subarray(from, end))
    }
    let at = 0
    while (at < data.length) {
      if (atLineStart) {
        const line = judgeLine(data, at, ended)
        if (line === 'undecided') {
          held = data.subarray(at)
          break
        }
        if (line === 'blank') {
          done = true
          at = data.length
          break
        }
        if (line !== 'continuation') removing = line === 'forged'
      }
      const newline = data.indexOf(LF, at)
      const end = newline < 0 ? data.length : newline + 1
      if (removing) {
        keepUntil(at)
        from = end
      } else eightBit ||= isEightBit(data, at, end)
      atLineStart = newline >= 0
      at = end
    }
    keepUntil(at)
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

/** Whether any of these octets is above 127. */
export function isEightBit(data: Buffer, from = 0, end = data.length): boolean {
  for (let at = from; at < end; at++) if ((data[at] as number) > 127) return true
  return false
}

type Line = 'blank' | 'continuation' | 'forged' | 'other' | 'undecided'

/** What kind of line begins at `at`; undecided only where `data` ends too soon and more is to come. */
function judgeLine(data: Buffer, at: number, ended: boolean): Line {
  const tooShort = ended ? 'other' : 'undecided'
  const first = data[at]
  if (first === LF) return 'blank'
  if (first === CR) {
    if (at + 1 === data.length) return tooShort
    return data[at + 1] === LF ? 'blank' : 'other'
  }
  if (first === SPACE || first === TAB) return 'continuation'
  for (let i = 0; i < FORGED.length; i++) {
    const octet = data[at + i]
    if (octet === undefined) return tooShort
    if (octet !== FORGED[i] && octet !== FORGED_LOUD[i]) return 'other'
  }
  return 'forged'
}
