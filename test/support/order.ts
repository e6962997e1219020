// Messages and orders to deliver, for tests of the relay.
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Envelope, Recipient } from '../../gateway/message.ts'
import {
  createDelivery,
  type Delivery,
  type DeliveryOptions,
  type Order,
} from '../../gateway/relay/deliver.ts'
import { type RecordedEvents, recordEvents } from './events.ts'
import { temporaryFolder } from './process.ts'

export const RECEIVED_AT = Date.UTC(2026, 10, 24, 14, 3, 31)
export const MESSAGE = Buffer.from('From: <s@example.net>\r\nSubject: x\r\n\r\nHello\r\n')

export const recipientsOf = (addresses: readonly string[]): Recipient[] =>
  addresses.map(address => ({
    address,
    domain: address.slice(address.lastIndexOf('@') + 1).toLowerCase(),
  }))

export function envelopeOf(change: Partial<Envelope> = {}): Envelope {
  return {
    id: 'm01kb3q7x9abcdefghjkmnp',
    receivedAt: RECEIVED_AT,
    client: { address: '192.0.2.1', port: 4711, helo: 'client.example.net' },
    reversePath: 's@example.net',
    recipients: recipientsOf(['a@example.org']),
    eightBit: false,
    smtpUtf8: false,
    sizeBytes: 0,
    sha256: '',
    kind: 'mail',
    fingerprint: '',
    ...change,
  }
}

export type OrderParts = {
  nextHops: string[]
  to?: string[]
  content?: Buffer
  envelope?: Partial<Envelope>
  fields?: string[]
  mayFinish?: () => Promise<boolean>
}

export type Bench = {
  delivery: Delivery
  events: RecordedEvents
  folder: string
  order(parts: OrderParts): Promise<Order>
} & AsyncDisposable

/** A delivery of its own, with a folder for content. Waits are short: a test that needs longer ones says so. */
export async function startBench(options: Partial<DeliveryOptions> = {}): Promise<Bench> {
  const folder = await temporaryFolder('relay')
  const events = recordEvents()
  const timeouts = { connectMs: 5000, greetingMs: 5000, commandMs: 5000, ...options.timeouts }
  const delivery = createDelivery({
    hostname: 'mx1.example.org',
    concurrency: 20,
    events,
    ...options,
    timeouts,
  })
  let number = 0
  return {
    delivery,
    events,
    folder: folder.path,
    async order({ nextHops, to = ['a@example.org'], content = MESSAGE, ...rest }) {
      const file = path.join(folder.path, `${++number}.eml`)
      await writeFile(file, content)
      const recipients = recipientsOf(to)
      return {
        envelope: envelopeOf({ recipients, sizeBytes: content.length, ...rest.envelope }),
        content: { path: file, sizeBytes: content.length },
        recipients,
        nextHops,
        fields: rest.fields ?? [],
        mayFinish: rest.mayFinish ?? (async () => true),
      }
    },
    async [Symbol.asyncDispose]() {
      await delivery[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** The part of content behind our own fields, which end with the line that has the date. */
export function withoutOurs(content: Buffer): Buffer {
  const date = content.indexOf('+0000\r\n')
  return content.subarray(date + 7)
}
