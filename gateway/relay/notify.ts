// Tells a sender that mail in our custody could not be delivered, if the sender is proven; otherwise keeps it (I6).
import { open } from 'node:fs/promises'
import type { Authentication } from '../../scanners/scanner.ts'
import type { Config } from '../config/schema.ts'
import type { Content, Envelope, Message, Recipient } from '../message.ts'
import type { Events } from '../observe/events.ts'
import type { Quarantine } from '../quarantine/quarantine.ts'
import { type Reply, reply } from '../reply.ts'
import type { LogLine } from '../spool/outcome-log.ts'
import type { Spool } from '../spool/spool.ts'
import { buildNotification } from './notification.ts'

/** Octets of the original's header section that a DSN carries at most (RFC 3462 §2). */
const HEADER_BYTES = 65_536

export type Failed = {
  recipient: Recipient
  /** Given up after `retry.expire`, instead of refused. */
  expired: boolean
  reply?: Reply
  nextHop?: string
  detail?: string
}

export type Notify = (order: {
  envelope: Envelope
  content: Content
  failed: readonly Failed[]
  authentication: Authentication | undefined
}) => Promise<LogLine[]>

export type NotifyOptions = {
  config: () => Config
  spool: Spool
  events: Events
  quarantine: Quarantine
  /** Checks SPF and DKIM where no scanner has. */
  authenticate(message: Message): Promise<Authentication>
  /** Called once a notification lies in custody. */
  queued(id: string): void
}

const EXPIRED = reply(550, '5.4.7', 'Delivery time expired')
const UNKNOWN = reply(550, '5.0.0', 'Refused by the destination')

/** Returns the log lines that end these recipients: `notified`, or `quarantined` as undeliverable. */
export function createNotify(options: NotifyOptions): Notify {
  return async ({ envelope, content, failed, authentication }) => {
    const why = await whyNot(options, { envelope, content }, authentication)
    const ended = (end: 'notified' | 'quarantined', detail: string): LogLine[] =>
      failed.map(f => ({
        kind: 'end',
        at: Date.now(),
        recipient: f.recipient.address,
        end,
        detail,
        ...(f.reply ? { reply: f.reply } : {}),
      }))
    if (why === undefined) {
      const id = await send(options, envelope, content, failed)
      const recipients = failed.map(f => f.recipient.address)
      options.events.notificationQueued({ id: envelope.id, notification: id, recipients })
      return ended('notified', id)
    }
    const reason = `undeliverable: ${why}`
    await keep(options, { envelope, content }, failed, reason)
    return ended('quarantined', reason)
  }
}

/** Why no notification may be sent; undefined where one may. */
async function whyNot(
  options: NotifyOptions,
  message: Message,
  known: Authentication | undefined,
): Promise<string | undefined> {
  const { envelope } = message
  if (envelope.kind === 'notification') return 'a notification of ours'
  if (envelope.reversePath === '') return 'the reverse-path is null'
  if (!options.config().notifications) return 'no notifications.nextHop is configured'
  const { spf, dkim } = known ?? (await options.authenticate(message))
  return spf || dkim ? undefined : 'the sender is not proven by SPF or DKIM'
}

async function keep(
  options: NotifyOptions,
  message: Message,
  failed: readonly Failed[],
  reason: string,
): Promise<void> {
  const recipients = failed.map(f => f.recipient)
  const { place } = await options.quarantine.keep({
    message,
    recipients,
    reason,
    policy: 'undeliverable',
  })
  const { id } = message.envelope
  const addresses = recipients.map(r => r.address)
  const cause = failed[0]?.detail ?? failed[0]?.reply?.text ?? reason
  options.events.undeliverable({ id, recipients: addresses, cause })
  options.events.quarantined({ id, recipients: addresses, reason, place })
}

/** Puts a DSN into custody under an id made of the original's and the number of those it tells of before. */
async function send(
  options: NotifyOptions,
  original: Envelope,
  content: Content,
  failed: readonly Failed[],
): Promise<string> {
  const { spool, config } = options
  const log = await spool.log(original.id)
  const before = [...log.ends.values()].filter(line => line.end === 'notified').length
  const id = `${original.id}-dsn${before + 1}`
  if (await spool.inCustody(id)) return id
  const bytes = buildNotification({
    hostname: config().hostname,
    postmaster: config().postmaster,
    envelope: original,
    failed: failed.map(f => ({
      recipient: f.recipient.address,
      reply: f.reply ?? (f.expired ? EXPIRED : UNKNOWN),
      ...(f.detail === undefined ? {} : { detail: f.detail }),
      ...(f.nextHop === undefined ? {} : { nextHop: f.nextHop }),
    })),
    expired: failed.every(f => f.expired),
    header: await headerSection(content),
    id,
    now: new Date(),
  })
  await spool.writeContent(id, bytes)
  await spool.takeCustody(envelopeOf(id, original, bytes))
  options.events.custodyTaken({ id, recipients: 1, reason: 'notification', durationMs: 0 })
  options.queued(id)
  return id
}

const envelopeOf = (id: string, original: Envelope, bytes: Buffer): Envelope => {
  const domain = original.reversePath.slice(original.reversePath.lastIndexOf('@') + 1)
  return {
    id,
    receivedAt: Date.now(),
    client: { address: '127.0.0.1', port: 0, helo: 'localhost' },
    reversePath: '',
    recipients: [{ address: original.reversePath, domain: domain.toLowerCase() }],
    eightBit: bytes.some(octet => octet > 127),
    smtpUtf8: original.smtpUtf8,
    sizeBytes: bytes.length,
    sha256: '',
    kind: 'notification',
    fingerprint: id,
  }
}

/** The original's header section, up to its empty line; cut at a field's end where it is too long. */
async function headerSection(content: Content): Promise<Buffer> {
  const handle = await open(content.path, 'r')
  try {
    const buffer = Buffer.alloc(Math.min(HEADER_BYTES, content.sizeBytes))
    await handle.read(buffer, 0, buffer.length, 0)
    const end = buffer.indexOf('\r\n\r\n')
    if (end >= 0) return buffer.subarray(0, end + 2)
    return buffer.subarray(0, buffer.lastIndexOf('\r\n') + 2)
  } finally {
    await handle.close()
  }
}
