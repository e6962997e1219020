// Builds the delivery status notification that tells a sender what could not be delivered, and why (RFC 3464, RFC 6522).
import type { Envelope } from '../message.ts'
import type { Reply } from '../reply.ts'
import { dateTime } from './header.ts'

/** One recipient that will not get the message. */
export type FailedRecipient = {
  recipient: string
  /** The reply that settled it; in an expired message, the last one heard. */
  reply: Reply
  /** The next hop's own words. */
  detail?: string
  /** `host:port` of the next hop that answered. */
  nextHop?: string
}

export type NotificationParts = {
  hostname: string
  /** Whom the reader may ask. */
  postmaster: string
  /** Of the message that failed. */
  envelope: Envelope
  failed: readonly FailedRecipient[]
  /** Given up after trying for as long as we try. */
  expired: boolean
  /** The original header section; what is beyond 64 KiB is left out. */
  header: Buffer
  /** Of the notification itself. */
  id: string
  now: Date
}

const MOST_HEADER_BYTES = 65_536
/** RFC 5322 §2.1.1, without CRLF. */
const LONGEST_LINE = 998

/** The whole message, CRLF throughout. Sent from the null reverse-path, to the reverse-path of the failed one. */
export function buildNotification(parts: NotificationParts): Buffer {
  const { hostname, envelope, id, now } = parts
  const report = [
    ...messageFields(parts),
    ...parts.failed.flatMap(f => ['', ...statusFields(f, parts)]),
  ]
  const header = headerSection(parts.header)
  const words = explanation(parts)
  // RFC 6533: addresses in UTF-8 make the status part a global one.
  const utf8 = [...report, ...words].some(isUtf8) ? 'global-' : ''
  const boundary = boundaryFor(id, [Buffer.from([...words, ...report].join('\r\n')), header])
  const eightBit = [...report, ...words].some(isUtf8) || header.some(octet => octet > 127)
  const top = [
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${envelope.reversePath}>`,
    `Subject: ${parts.expired ? 'Undelivered mail, given up' : 'Undelivered mail returned to sender'}`,
    `Date: ${dateTime(now.getTime())}`,
    `Message-ID: <${id}@${hostname}>`,
    // RFC 3834 §5; RFC 3464 §2 wants no answer to this one.
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=${utf8}delivery-status;`,
    `\tboundary="${boundary}"`,
    ...(eightBit ? ['Content-Transfer-Encoding: 8bit'] : []),
  ]
  const part = (type: string, lines: string[]) => [
    `--${boundary}`,
    `Content-Type: ${type}`,
    ...(lines.some(isUtf8) ? ['Content-Transfer-Encoding: 8bit'] : []),
    '',
    ...lines,
    '',
  ]
  const lines = [
    ...top,
    '',
    'This is a MIME-encapsulated message.',
    '',
    ...part('text/plain; charset=utf-8', words),
    ...part(`message/${utf8}delivery-status`, report),
    `--${boundary}`,
    header.some(octet => octet > 127) && utf8
      ? 'Content-Type: message/global-headers'
      : 'Content-Type: text/rfc822-headers',
    ...(header.some(octet => octet > 127) ? ['Content-Transfer-Encoding: 8bit'] : []),
    '',
  ]
  const end = `\r\n--${boundary}--\r\n`
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n`), header, Buffer.from(end)])
}

function explanation(parts: NotificationParts): string[] {
  const { hostname, envelope, postmaster, expired } = parts
  const lines = [
    `This is the mail system at ${hostname}.`,
    '',
    expired
      ? 'Your message could not be delivered to these recipients for so long that it was given up:'
      : 'Your message could not be delivered to these recipients:',
    '',
  ]
  for (const { recipient, reply, detail } of parts.failed) {
    lines.push(`<${recipient}>`)
    lines.push(`    ${reply.code} ${reply.enhanced} ${reply.text}`)
    if (detail !== undefined && detail !== '') lines.push(`    Their server said: ${detail}`)
    lines.push('')
  }
  lines.push(
    `The message was received on ${dateTime(envelope.receivedAt)} and is known here as`,
    `${envelope.id}. If you need help, write to <${postmaster}> and mention it.`,
  )
  return lines.map(printable)
}

/** RFC 3464 §2.2. */
function messageFields({ hostname, envelope }: NotificationParts): string[] {
  return [
    `Reporting-MTA: dns; ${hostname}`,
    `X-Sallyport-Message-Id: ${envelope.id}`,
    `Arrival-Date: ${dateTime(envelope.receivedAt)}`,
  ].map(printable)
}

/** RFC 3464 §2.3. */
function statusFields(failed: FailedRecipient, { expired, now }: NotificationParts): string[] {
  const { recipient, reply, detail, nextHop } = failed
  const host = nextHop?.replace(/:\d+$/, '').replace(/[[\]]/g, '')
  // RFC 3464 §2.3.6: the next hop's words, where it had any.
  const said = detail !== undefined && /^[2-5]\d\d /.test(detail)
  return [
    `Final-Recipient: ${isUtf8(recipient) ? 'utf-8' : 'rfc822'}; ${recipient}`,
    'Action: failed',
    `Status: ${statusOf(reply, expired)}`,
    ...(said && host ? [`Remote-MTA: dns; ${host}`] : []),
    `Diagnostic-Code: smtp; ${said ? detail : `${reply.code} ${reply.enhanced} ${reply.text}`}`,
    `Last-Attempt-Date: ${dateTime(now.getTime())}`,
  ].map(printable)
}

/** Of a message given up the last reply was 4xx: RFC 3463 has 4.4.7 for that, as Action: failed wants it permanent. */
const statusOf = (reply: Reply, expired: boolean): string =>
  expired && reply.enhanced.startsWith('4.') ? '5.4.7' : reply.enhanced

const isUtf8 = (line: string): boolean => /[^\x00-\x7f]/.test(line)

/** One line, whatever a server or a client put into it. */
const printable = (line: string): string =>
  line.replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]+/g, ' ').slice(0, LONGEST_LINE)

/** The header section alone, cut after a whole line, without the blank line that ends it. */
function headerSection(header: Buffer): Buffer {
  const blank = header.subarray(0, 2).equals(CRLF) ? 0 : header.indexOf('\r\n\r\n')
  const section = blank < 0 ? header : header.subarray(0, blank === 0 ? 0 : blank + 2)
  if (section.length <= MOST_HEADER_BYTES) return ending(section)
  const cut = section.lastIndexOf(CRLF, MOST_HEADER_BYTES - CRLF.length)
  return cut < 0 ? Buffer.alloc(0) : section.subarray(0, cut + CRLF.length)
}
const CRLF = Buffer.from('\r\n')
const ending = (section: Buffer): Buffer =>
  section.length === 0 || section.subarray(-2).equals(CRLF)
    ? section
    : Buffer.concat([section, CRLF])

/** No line of any part may begin like it (RFC 2046 §5.1.1), and a sender may know the scheme. */
function boundaryFor(id: string, bodies: readonly Buffer[]): string {
  for (let n = 0; ; n++) {
    const boundary = `=_${id}_${n}`
    if (!bodies.some(body => body.includes(boundary))) return boundary
  }
}
