// The notification as a mail program reads it: RFC 3464 fields, header fields only, and nothing a sender can forge.
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  buildNotification,
  type FailedRecipient,
  type NotificationParts,
} from '../../../gateway/relay/notification.ts'
import { reply } from '../../../gateway/reply.ts'
import { envelopeOf, RECEIVED_AT } from '../../support/order.ts'

type Parsed = { top: string; parts: { head: string; body: string }[] }

/** RFC 2046 §5.1.1, strictly. */
function parsed(message: Buffer): Parsed {
  const text = message.toString('utf8')
  assert.doesNotMatch(text, /[^\r]\n|\r[^\n]/, 'CRLF throughout')
  for (const line of text.split('\r\n')) assert.ok(Buffer.byteLength(line) <= 998 * 4)
  const [top = ''] = text.split('\r\n\r\n', 1)
  const [, boundary = ''] = /boundary="([^"]+)"/.exec(top) ?? []
  const sections = text.slice(top.length + 2).split(`\r\n--${boundary}`)
  assert.equal(sections.length, 5)
  assert.equal(sections.at(-1), '--\r\n')
  const parts = sections.slice(1, -1).map(section => {
    const [, head = '', body = ''] = /^\r\n([\s\S]*?)\r\n\r\n([\s\S]*)$/.exec(section) ?? []
    return { head, body }
  })
  return { top, parts }
}

const failed: FailedRecipient[] = [
  {
    recipient: 'a@example.org',
    reply: reply(550, '5.1.1', "Refused by the destination's mail server"),
    detail: '550 5.1.1 <a@example.org>: unknown',
    nextHop: '10.0.0.7:25',
  },
  { recipient: 'b@example.org', reply: reply(554, '5.6.3', 'No 8-bit'), nextHop: '[::1]:24' },
]
const partsOf = (change: Partial<NotificationParts> = {}): NotificationParts => ({
  hostname: 'mx1.example.org',
  postmaster: 'postmaster@example.org',
  envelope: envelopeOf(),
  failed,
  expired: false,
  header: Buffer.from('From: s@example.net\r\nSubject: x\r\n\r\nSECRET BODY\r\n'),
  id: 'm01kb3q7x9abcdefghjkmnp-dsn1',
  now: new Date(RECEIVED_AT + 60_000),
  ...change,
})

test('reports each recipient, and returns the header section only', () => {
  const { top, parts } = parsed(buildNotification(partsOf()))
  assert.deepEqual(top.split('\r\n'), [
    'From: Mail Delivery System <MAILER-DAEMON@mx1.example.org>',
    'To: <s@example.net>',
    'Subject: Undelivered mail returned to sender',
    'Date: Tue, 24 Nov 2026 14:04:31 +0000',
    'Message-ID: <m01kb3q7x9abcdefghjkmnp-dsn1@mx1.example.org>',
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status;',
    '\tboundary="=_m01kb3q7x9abcdefghjkmnp-dsn1_0"',
  ])
  const [words, status, header] = parts
  assert.equal(words?.head, 'Content-Type: text/plain; charset=utf-8')
  assert.match(String(words?.body), /<a@example\.org>\r\n {4}550 5\.1\.1 Refused/)
  assert.match(String(words?.body), /m01kb3q7x9abcdefghjkmnp[\s\S]*<postmaster@example\.org>/)
  assert.equal(status?.head, 'Content-Type: message/delivery-status')
  assert.deepEqual(status?.body.split('\r\n'), [
    'Reporting-MTA: dns; mx1.example.org',
    'X-Sallyport-Message-Id: m01kb3q7x9abcdefghjkmnp',
    'Arrival-Date: Tue, 24 Nov 2026 14:03:31 +0000',
    '',
    'Final-Recipient: rfc822; a@example.org',
    'Action: failed',
    'Status: 5.1.1',
    'Remote-MTA: dns; 10.0.0.7',
    'Diagnostic-Code: smtp; 550 5.1.1 <a@example.org>: unknown',
    'Last-Attempt-Date: Tue, 24 Nov 2026 14:04:31 +0000',
    '',
    'Final-Recipient: rfc822; b@example.org',
    'Action: failed',
    'Status: 5.6.3',
    'Diagnostic-Code: smtp; 554 5.6.3 No 8-bit',
    'Last-Attempt-Date: Tue, 24 Nov 2026 14:04:31 +0000',
    '',
  ])
  assert.deepEqual(header, {
    head: 'Content-Type: text/rfc822-headers',
    body: 'From: s@example.net\r\nSubject: x\r\n',
  })
})

test('given up: said so, with a permanent status', () => {
  const late = [{ recipient: 'a@example.org', reply: reply(451, '4.4.1', 'No answer') }]
  const { top, parts } = parsed(buildNotification(partsOf({ failed: late, expired: true })))
  assert.match(top, /Subject: Undelivered mail, given up/)
  assert.match(
    String(parts[1]?.body),
    /Status: 5\.4\.7\r\nDiagnostic-Code: smtp; 451 4\.4\.1 No answer/,
  )
})

test('neither a server nor a sender can add fields or parts', () => {
  const id = 'm01kb3q7x9abcdefghjkmnp-dsn1'
  const evil = {
    recipient: 'a@example.org',
    reply: reply(550, '5.1.1', 'no'),
    detail: `550 5.1.1 no\r\nAction: delivered\r\n\r\n--=_${id}_0--`,
    nextHop: 'x:1',
  }
  const header = Buffer.from(`A: b\r\n--=_${id}_0\r\nB: --=_${id}_1\r\n\r\n`)
  const { parts } = parsed(buildNotification(partsOf({ failed: [evil], header })))
  assert.equal(
    String(parts[1]?.body)
      .match(/^Action:.*$/gm)
      ?.join(),
    'Action: failed',
  )
  assert.equal(parts[2]?.body, header.toString().slice(0, -2))
})

test('a long header section is cut after a whole line', () => {
  const header = Buffer.from('Received: x\r\n'.repeat(20_000))
  const { parts } = parsed(buildNotification(partsOf({ header })))
  const body = String(parts[2]?.body)
  assert.ok(body.length <= 65_536 && body.length > 65_000)
  assert.match(body, /Received: x\r\n$/)
})

test('no header section at all', () => {
  const empty = [Buffer.alloc(0), Buffer.from('\r\nbody')]
  for (const header of empty)
    assert.equal(parsed(buildNotification(partsOf({ header }))).parts[2]?.body, '')
})

test('UTF-8 addresses make it a global report (RFC 6533)', () => {
  const utf8 = [{ recipient: 'ö@example.org', reply: reply(550, '5.1.1', 'no') }]
  const header = Buffer.from('From: é\r\n\r\n')
  const { top, parts } = parsed(buildNotification(partsOf({ failed: utf8, header })))
  assert.match(top, /report-type=global-delivery-status/)
  assert.match(top, /Content-Transfer-Encoding: 8bit/)
  assert.match(String(parts[1]?.head), /^Content-Type: message\/global-delivery-status\r\n/)
  assert.match(String(parts[1]?.body), /Final-Recipient: utf-8; ö@example\.org/)
  assert.match(String(parts[2]?.head), /^Content-Type: message\/global-headers\r\n/)
})
