// A relay on a real spool and a real quarantine, with a delivery that says what the test wants.
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type Config, configSchema } from '../../gateway/config/schema.ts'
import type { Envelope } from '../../gateway/message.ts'
import type { RelayOutcome } from '../../gateway/outcome.ts'
import { createQuarantine, type Quarantine } from '../../gateway/quarantine/quarantine.ts'
import type { Hint, Planned, RelayJob } from '../../gateway/queue/jobs.ts'
import type { Order } from '../../gateway/relay/deliver.ts'
import { createNotify } from '../../gateway/relay/notify.ts'
import { createRelay } from '../../gateway/relay/relay.ts'
import { reply } from '../../gateway/reply.ts'
import { ownIdentity } from '../../gateway/spool/identity.ts'
import { createSpool, type Spool } from '../../gateway/spool/spool.ts'
import type { Authentication } from '../../scanners/scanner.ts'
import { type RecordedEvents, recordEvents } from './events.ts'
import { envelopeOf, recipientsOf } from './order.ts'
import { temporaryFolder } from './process.ts'

export const CONTENT = 'Subject: x\r\nFrom: <s@example.net>\r\n\r\nThe body.\r\n'

export type Relaying = {
  folder: string
  /** Replace its methods to make a disk fail. */
  spool: Spool
  quarantine: Quarantine
  events: RecordedEvents
  config: Config
  /** What was to be delivered, in the order it was asked. */
  orders: Order[]
  hints: Hint[]
  /** What the sweep was told to look at. */
  swept: string[]
  /** Asked about each order; relays all unless replaced. */
  deliver: (order: Order) => RelayOutcome[] | Promise<RelayOutcome[]>
  /** What SPF and DKIM would say, and how often they were asked. */
  proven: Authentication
  asked: number
  /** A message in `incoming/`. */
  message(to?: string[], change?: Partial<Envelope>): Promise<Envelope>
  custody(to?: string[], change?: Partial<Envelope>): Promise<Envelope>
  run(job: RelayJob): Promise<void>
} & AsyncDisposable

export const outcome = (
  recipient: string,
  result: RelayOutcome['result'],
  said = { relayed: '250', refused: '550', deferred: '451' }[result],
): RelayOutcome => ({
  recipient,
  result,
  nextHop: 'hop:25',
  reply: reply(Number(said), `${said[0]}.0.0`, 'as the test says'),
  detail: `${said} in its own words`,
})

/** All recipients of an order come to the same. */
export const all = (result: RelayOutcome['result']) => (order: Order) =>
  order.recipients.map(({ address }) => outcome(address, result))

/** A decision for each address: `{ 'a@example.org': 'relay' }`. */
export const plan = (
  dispositions: Record<string, Planned['disposition']>,
  change: Partial<RelayJob['plan']> = {},
): RelayJob['plan'] => ({
  recipients: Object.entries(dispositions).map(([recipient, disposition]) => ({
    recipient,
    disposition,
    policy: 'test',
    reason: `to ${disposition}`,
  })),
  scanners: [],
  ...change,
})

export async function startRelaying(change: Record<string, unknown> = {}): Promise<Relaying> {
  const stack = new AsyncDisposableStack()
  const { path: folder } = stack.use(await temporaryFolder('relaying'))
  const events = recordEvents()
  const config = configSchema.parse({
    hostname: 'mx.test',
    state: folder,
    spool: folder,
    listen: [{ address: '127.0.0.1:0' }],
    postmaster: 'postmaster@example.org',
    domains: {
      'example.org': { nextHop: 'smtp://127.0.0.1:1' },
      'example.com': { nextHop: 'smtp://127.0.0.1:2' },
    },
    redis: 'redis://127.0.0.1:1',
    notifications: { nextHop: 'smtp://127.0.0.1:3' },
    ...change,
  }) as Config
  const spool = stack.use(
    await createSpool({
      folder,
      identity: ownIdentity(),
      corrupted: (file, cause) => events.spoolCorrupt({ file, cause }),
    }),
  )
  const quarantine = stack.use(
    await createQuarantine({ folder: path.join(folder, 'quarantine'), keepDays: 30 }),
  )
  const notify = createNotify({
    ...{ spool, events, quarantine },
    config: () => config,
    async authenticate() {
      relaying.asked++
      return relaying.proven
    },
    queued: id => void relaying.swept.push(id),
  })
  const relay = createRelay({
    ...{ spool, events, quarantine, notify },
    config: () => config,
    hints: {
      address: 'here',
      listen: () => () => undefined,
      tell: (_, hint) => void relaying.hints.push(hint),
      tellSweep: id => void relaying.swept.push(id),
      listenAsSweep: () => undefined,
      [Symbol.dispose]: () => undefined,
    },
    delivery: {
      async deliver(order) {
        relaying.orders.push(order)
        return relaying.deliver(order)
      },
      destinations: () => [],
      async [Symbol.asyncDispose]() {},
    },
  })
  const relaying: Relaying = {
    ...{ folder, spool, quarantine, events, config, orders: [], hints: [], swept: [] },
    deliver: all('relayed'),
    proven: { spf: true, dkim: false },
    asked: 0,
    async message(to = ['a@example.org'], more = {}) {
      const id = spool.newId()
      await writeFile(spool.contentPath(id), CONTENT)
      return envelopeOf({
        ...{ id, recipients: recipientsOf(to), sizeBytes: CONTENT.length, fingerprint: id },
        receivedAt: Date.now(),
        ...more,
      })
    },
    async custody(to, more) {
      const envelope = await relaying.message(to, more)
      await spool.takeCustody(envelope)
      return envelope
    },
    run: relay,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
  return relaying
}
