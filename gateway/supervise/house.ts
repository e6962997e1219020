// What scan and relay work with, put together once for whoever runs them: a work worker, or a process for one message.
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { decide } from '../../policies/decide.ts'
import { createAuthentication } from '../../scanners/authentication.ts'
import { createScanners } from '../../scanners/registry.ts'
import { scanAll } from '../../scanners/scan-all.ts'
import type { Scanner } from '../../scanners/scanner.ts'
import { domainSettings, requiredScanners } from '../config/domain-settings.ts'
import type { Config } from '../config/schema.ts'
import type { Events } from '../observe/events.ts'
import { createQuarantine } from '../quarantine/quarantine.ts'
import { createHints, type Hints } from '../queue/hints.ts'
import type { RelayJob, ScanJob } from '../queue/jobs.ts'
import { createKnownClean } from '../queue/known-clean.ts'
import { createQueue, type WorkQueue } from '../queue/queue.ts'
import { createSeal, type Seal } from '../queue/seal.ts'
import { createDelivery } from '../relay/deliver.ts'
import { createNotify } from '../relay/notify.ts'
import { createRelay, type RelayOptions } from '../relay/relay.ts'
import { createScan, type ScanOptions } from '../scan.ts'
import { createScanRoom } from '../scan-room.ts'
import { ownIdentity, writeIdentity } from '../spool/identity.ts'
import { createSpool, type Spool } from '../spool/spool.ts'
import { type Canary, createCanary } from './canary.ts'

/** Engines that have not passed their canaries by then get no mail until they have. */
const FIRST_LOOK_MS = 10_000

export type House = {
  live: { config: Config }
  seal: Seal
  spool: Spool
  queue: WorkQueue
  hints: Hints
  events: Events
  /** Two processes have died of what this one takes up. */
  alone: boolean
  /** Ends all of it. */
  stack: AsyncDisposableStack
}

export type Relay = (job: RelayJob) => Promise<void>

export async function openHouse(config: Config, events: Events, alone = false): Promise<House> {
  const stack = new AsyncDisposableStack()
  const identity = ownIdentity()
  const live = { config }
  const spool = stack.use(
    await createSpool({
      folder: config.spool,
      identity,
      corrupted: (file, cause) => events.spoolCorrupt({ file, cause }),
    }),
  )
  const seal = await createSeal(config.spool)
  const queue = stack.use(
    await createQueue(config.redis, seal, (up, cause) =>
      events.engineChanged({ engine: 'redis', address: 'queue', up, ...(cause ? { cause } : {}) }),
    ),
  )
  const hints = stack.use(createHints(config.redis, writeIdentity(identity), seal))
  return { live, seal, spool, queue, hints, events, alone, stack }
}

export type Scanning = {
  run(job: ScanJob, again?: boolean): Promise<void>
  scanners(): readonly Scanner[]
  canary: Canary
  renew(next: Config): Promise<void>
  /** What waits for its turn is not scanned here any more. */
  close(): void
}

export async function makeScan(house: House, handOn: Relay): Promise<Scanning> {
  const { live, seal, spool, hints, events, alone, stack } = house
  const { redis } = live.config
  // What processes died of is believed of nobody, and tells nobody anything.
  const others = alone
    ? undefined
    : stack.use(createKnownClean({ redis, seal, told: events.knownCleanAsked }))
  const make = (config: Config) => createScanners(scannerSettings(config), others)
  let scanners: Scanner[] = await make(live.config)
  stack.defer(async () => {
    await Promise.allSettled(scanners.map(scanner => scanner[Symbol.asyncDispose]()))
  })
  const room = createScanRoom(() => live.config.limits.scanning)
  const judge: ScanOptions['decide'] = (reports, envelope, recipient) =>
    decide(
      reports,
      envelope,
      recipient,
      domainSettings(live.config, recipient.domain),
      requiredScanners(live.config),
    )
  const run = createScan({
    ...{ spool, hints, events, handOn, alone, room },
    ask: message => scanAll(scanners, message),
    decide: judge,
  })
  const canary = createCanary({
    folder: path.join(live.config.state, 'canary'),
    settings: () => live.config.canary,
    policyFor: (reports, { envelope }) =>
      envelope.recipients.map(each => judge(reports, envelope, each).policy).join(),
    events,
  })
  const firstLook = (fresh: readonly Scanner[]) => {
    const patience = sleep(FIRST_LOOK_MS, undefined, { ref: false })
    return Promise.race([canary.look(fresh), patience])
  }
  await firstLook(scanners)
  const renew = async (next: Config) => {
    const old = scanners
    const fresh = await make(next)
    await firstLook(fresh)
    scanners = fresh
    // Scans under way finish on the old ones.
    const longestMs = Math.max(0, ...old.map(scanner => scanner.deadlineMs))
    setTimeout(() => {
      for (const scanner of old) scanner[Symbol.asyncDispose]().catch(() => undefined)
    }, longestMs).unref()
  }
  return { run, scanners: () => scanners, canary, renew, close: room.close }
}

/** Throws where `embedded` has not become an address: a scanner left out would let mail pass unscanned. */
function scannerSettings({ scanners, attachments, domains }: Config) {
  const { clamav, ...others } = scanners
  const lists = [attachments, ...Object.values(domains).map(domain => domain.attachments)]
  const spans = lists.some(list => list?.rules?.some(rule => rule.action === 'strip'))
  const looked = attachments && { deadlineMs: attachments.deadlineMs, spans }
  if (clamav === 'embedded') throw new Error('no clamd was started for `scanners.clamav: embedded`')
  return { ...others, ...(clamav ? { clamav } : {}), ...(looked ? { attachments: looked } : {}) }
}

/** The relay, and what it was made of. */
export async function makeRelay(house: House): Promise<{ run: Relay; options: RelayOptions }> {
  const { live, spool, hints, events, alone, stack } = house
  const config = () => live.config
  const { hostname, relay, dns, state, quarantine: keeping } = live.config
  const delivery = stack.use(
    createDelivery({
      hostname,
      concurrency: relay.concurrency,
      events,
      ...(relay.caFile === undefined ? {} : { caFile: relay.caFile }),
    }),
  )
  const quarantine = stack.use(
    await createQuarantine({ folder: path.join(state, 'quarantine'), keepDays: keeping.keepDays }),
  )
  const authentication = createAuthentication({
    hostname,
    ...(dns ? { servers: dns.servers } : {}),
  })
  const notify = createNotify({
    ...{ config, spool, events, quarantine },
    authenticate: message => authentication.authenticate(message),
    queued: id => hints.tellSweep(id),
  })
  const options: RelayOptions = {
    ...{ config, spool, hints, events, delivery, quarantine, notify, alone },
  }
  return { run: createRelay(options), options }
}
