// Reads the arguments of MAIL and RCPT: the path in its brackets, then the parameters (RFC 5321 §4.1.1.2, §4.1.1.3).
import { type Reply, reply } from '../reply.ts'
import { decodeUtf8, type Mailbox, parseMailbox, withoutSourceRoute } from './address.ts'

/** `reason` is a fixed word for the metrics. */
export type Refusal = { reason: string; reply: Reply; detail?: string }

export type MailCommand = {
  /** undefined for the null reverse-path. */
  mailbox: Mailbox | undefined
  /** Octets declared with SIZE= (RFC 1870). */
  sizeBytes: number | undefined
  eightBit: boolean
  smtpUtf8: boolean
}
export type RcptCommand = { mailbox: Mailbox | 'postmaster' }

export type Offered = { smtpUtf8: boolean }

const refuse = (code: number, enhanced: string, text: string, reason: string) => ({
  refusal: { reason, reply: reply(code, enhanced, text) },
})
type Refused = { refusal: Refusal }

/** Plain text and quoted strings by turns. */
const PATH = /^[^"<>]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^"<>]*)*/

type Parts = { path: string; parameters: Map<string, string | undefined> }

/** Splits `VERB WORD:<path> KEY=VALUE …`. Quotes may hold spaces and brackets, so the path's end is looked for outside them. */
function split(line: Buffer, verb: RegExp, bad: Refused, badUtf8: Refused): Parts | Refused {
  const text = decodeUtf8(line)
  if (text === undefined) return badUtf8
  const start = verb.exec(text)
  if (!start) return bad
  const path = PATH.exec(text.slice(start[0].length))?.[0] ?? ''
  const rest = text.slice(start[0].length + path.length)
  if (!rest.startsWith('>')) return bad
  const parameters = new Map<string, string | undefined>()
  const tail = rest.slice(1)
  if (tail !== '' && !/^[ \t]/.test(tail)) return bad
  for (const word of tail.split(/[ \t]+/)) {
    if (word === '') continue
    const [, key, value] = /^([a-z0-9][a-z0-9-]*)(?:=([!-<>-~]+))?$/i.exec(word) ?? []
    if (key === undefined) return refuse(501, '5.5.4', 'Parameter syntax', 'parameter')
    const name = key.toUpperCase()
    if (parameters.has(name)) return refuse(501, '5.5.4', 'Parameter given twice', 'parameter')
    parameters.set(name, value)
  }
  return { path: withoutSourceRoute(path), parameters }
}

const UNKNOWN = refuse(555, '5.5.4', 'Parameter not recognized', 'parameter')
const BAD_VALUE = refuse(501, '5.5.4', 'Parameter value not understood', 'parameter')
const NEEDS_UTF8 = refuse(553, '5.6.7', 'Address needs SMTPUTF8', 'smtputf8')
const BAD_SENDER = refuse(501, '5.1.7', 'Bad sender address syntax', 'sender-syntax')
const BAD_SENDER_UTF8 = refuse(501, '5.1.7', 'Sender address is not UTF-8', 'sender-syntax')
const BAD_RECIPIENT = refuse(501, '5.1.3', 'Bad recipient address syntax', 'recipient-syntax')
const BAD_RECIPIENT_UTF8 = refuse(
  501,
  '5.1.3',
  'Recipient address is not UTF-8',
  'recipient-syntax',
)

/** RFC 5321 allows no space after the colon; many clients put one. */
const MAIL = /^MAIL[ \t]+FROM:[ \t]*</i
const RCPT = /^RCPT[ \t]+TO:[ \t]*</i

type Parameters = Omit<MailCommand, 'mailbox'>

function mailParameters(given: Parts['parameters'], offered: Offered): Parameters | Refused {
  const found: Parameters = { sizeBytes: undefined, eightBit: false, smtpUtf8: false }
  for (const [key, value] of given) {
    if (key === 'SIZE') {
      // RFC 1870 §4
      if (value === undefined || !/^\d{1,20}$/.test(value)) return BAD_VALUE
      found.sizeBytes = Number(value)
    } else if (key === 'BODY') {
      // RFC 6152 §2
      if (value === undefined || !/^(7BIT|8BITMIME)$/i.test(value)) return BAD_VALUE
      found.eightBit = value.length === 8
    } else if (key === 'SMTPUTF8' && offered.smtpUtf8) {
      // RFC 6531 §3.1 item 5
      if (value !== undefined) return BAD_VALUE
      found.smtpUtf8 = true
    } else {
      return UNKNOWN
    }
  }
  return found
}

export function parseMail(line: Buffer, offered: Offered): MailCommand | Refused {
  const parts = split(line, MAIL, BAD_SENDER, BAD_SENDER_UTF8)
  if ('refusal' in parts) return parts
  const parameters = mailParameters(parts.parameters, offered)
  if ('refusal' in parameters) return parameters
  if (parts.path === '') return { mailbox: undefined, ...parameters }
  const mailbox = parseMailbox(parts.path)
  if (!mailbox) return BAD_SENDER
  if (mailbox.international && !parameters.smtpUtf8) return NEEDS_UTF8
  return { mailbox, ...parameters }
}

/** `smtpUtf8`: the keyword was given at this transaction's MAIL. */
export function parseRcpt(line: Buffer, smtpUtf8: boolean): RcptCommand | Refused {
  const parts = split(line, RCPT, BAD_RECIPIENT, BAD_RECIPIENT_UTF8)
  if ('refusal' in parts) return parts
  if (parts.parameters.size > 0) return UNKNOWN
  // RFC 5321 §4.1.1.3: the only mailbox without a domain
  if (parts.path.toLowerCase() === 'postmaster') return { mailbox: 'postmaster' }
  const mailbox = parseMailbox(parts.path)
  if (!mailbox) return BAD_RECIPIENT
  if (mailbox.international && !smtpUtf8) return NEEDS_UTF8
  return { mailbox }
}
