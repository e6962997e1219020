// A work worker put together: scan and relay jobs, and in the first of them the sweep and the quarantine's expiry.
import path from 'node:path'
import { decide } from '../../policies/decide.ts'
import { createAuthentication } from '../../scanners/authentication.ts'
import { createScanners } from '../../scanners/registry.ts'
import { scanAll } from '../../scanners/scan-all.ts'
import type { Scanner } from '../../scanners/scanner.ts'
import { domainSettings, requiredScanners } from '../config/domain-settings.ts'
import type { Config } from '../config/schema.ts'
import type { Events } from '../observe/events.ts'
import { createQuarantine, type Quarantine } from '../quarantine/quarantine.ts'
import { type Consumer, createConsumer } from '../queue/consumer.ts'
import { createHints, type Hints } from '../queue/hints.ts'
import type { RelayJob, ScanJob } from '../queue/jobs.ts'
import { createQueue, type WorkQueue } from '../queue/queue.ts'
import { createSeal, type Seal } from '../queue/seal.ts'
import { createDelivery } from '../relay/deliver.ts'
import { createNotify } from '../relay/notify.ts'
import { createRelay } from '../relay/relay.ts'
import { createScan } from '../scan.ts'
import { ownIdentity, writeIdentity } from '../spool/identity.ts'
import { createSpool, type Spool } from '../spool/spool.ts'
import { createSweep } from '../spool/sweep.ts'
import { createEngineWatch } from './engine-watch.ts'
import type { Observed } from './instance.ts'
import type { Role, Start } from './messages.ts'
import type { Work } from './worker.ts'

/** Jobs at once in one process; scanners and next hops have limits of their own. */
const SCANS = 300
const RELAYS = 500
/**
 * Scan jobs that may go on to the relay themselves, where this process does both: one trip through the queue instead of
 * two. The others hand on, so that slow next hops never take what scanning needs.
 */
const DIRECT_RELAYS = 200
const EXPIRE_MS = 3_600_000

export async function startWorking(start: Start, observed: Observed): Promise<Work> {
  const { events } = observed
  const stack = new AsyncDisposableStack()
  const identity = ownIdentity()
  const live = { config: start.config }
  const spool = stack.use(
    await createSpool({
      folder: live.config.spool,
      identity,
      corrupted: (file, cause) => events.spoolCorrupt({ file, cause }),
    }),
  )
  const seal = await createSeal(live.config.spool)
  const queue = stack.use(
    await createQueue(live.config.redis, seal, (up, cause) =>
      events.engineChanged({ engine: 'redis', address: 'queue', up, ...(cause ? { cause } : {}) }),
    ),
  )
  const hints = stack.use(createHints(live.config.redis, writeIdentity(identity), seal))
  const house: House = { live, seal, spool, queue, hints, events, stack }
  const consumers: Consumer[] = []
  let reasons = () => [] as string[]
  let renew = async (_next: Config) => {}

  let handOn = queue.relay
  if (start.roles.includes('relay')) {
    const relaying = await startRelaying(house, start.slot === 1)
    consumers.push(relaying.consumer)
    handOn = directly(relaying.run, queue.relay)
  }
  if (start.roles.includes('scan')) {
    const scanning = await startScanning(house, observed, start.slot === 1, handOn)
    consumers.push(scanning.consumer)
    reasons = scanning.reasons
    renew = scanning.renew
  }
  if (start.slot === 1) showQueue(observed, queue, start.roles)

  return {
    reasons: () => [...reasons(), ...(queue.reachable() ? [] : ['Redis is not reachable'])],
    async reload(next) {
      await renew(next)
      live.config = next
    },
    async stop(graceMs) {
      await Promise.all(consumers.map(consumer => consumer.stop(graceMs)))
      await stack.disposeAsync()
    },
  }
}

type House = {
  live: { config: Config }
  seal: Seal
  spool: Spool
  queue: WorkQueue
  hints: Hints
  events: Events
  stack: AsyncDisposableStack
}

type Relay = (job: RelayJob) => Promise<void>

/** Relays at once as long as few do; hands on to the queue otherwise. */
function directly(run: Relay, queue: Relay): Relay {
  let active = 0
  return async job => {
    if (active >= DIRECT_RELAYS) return queue(job)
    active++
    try {
      await run(job)
    } finally {
      active--
    }
  }
}

async function startScanning(house: House, observed: Observed, first: boolean, handOn: Relay) {
  const { live, seal, spool, hints, events, stack } = house
  const make = (config: Config) => createScanners(scannerSettings(config))
  let scanners: Scanner[] = await make(live.config)
  const watch = stack.use(createEngineWatch(() => scanners, observed, first))
  const run = createScan({
    ...{ spool, hints, events, handOn },
    ask: message => scanAll(scanners, message),
    decide: (reports, envelope, recipient) =>
      decide(
        reports,
        envelope,
        recipient,
        domainSettings(live.config, recipient.domain),
        requiredScanners(live.config),
      ),
  })
  stack.defer(async () => {
    await Promise.allSettled(scanners.map(scanner => scanner[Symbol.asyncDispose]()))
  })
  const consumer = createConsumer<ScanJob>({
    redis: live.config.redis,
    seal,
    queue: 'scan',
    concurrency: SCANS,
    run,
    fault: faultOf(events, 'scan'),
  })
  const renew = async (next: Config) => {
    const old = scanners
    scanners = await make(next)
    // Scans under way finish on the old ones.
    const longestMs = Math.max(0, ...old.map(scanner => scanner.deadlineMs))
    setTimeout(() => {
      for (const scanner of old) scanner[Symbol.asyncDispose]().catch(() => undefined)
    }, longestMs).unref()
  }
  return { consumer, reasons: watch.reasons, renew }
}

/** Throws where `embedded` has not become an address: a scanner left out would let mail pass unscanned. */
function scannerSettings({ scanners }: Config) {
  const { clamav, ...others } = scanners
  if (clamav === 'embedded') throw new Error('no clamd was started for `scanners.clamav: embedded`')
  return { ...others, ...(clamav ? { clamav } : {}) }
}

async function startRelaying(house: House, first: boolean) {
  const { live, seal, spool, queue, hints, events, stack } = house
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
  if (first) {
    stack.use(createSweep({ config, spool, queue, hints, events }))
    stack.use(expireQuarantine(quarantine, events))
  }
  const run = createRelay({ config, spool, hints, events, delivery, quarantine, notify })
  const consumer = createConsumer<RelayJob>({
    redis: live.config.redis,
    seal,
    queue: 'relay',
    concurrency: RELAYS,
    run,
    fault: faultOf(events, 'relay'),
  })
  return { consumer, run }
}

function expireQuarantine(quarantine: Quarantine, events: Events): Disposable {
  const expire = () => {
    quarantine.expire().catch(error => events.fault({ where: 'quarantine', error }))
  }
  expire()
  const timer = setInterval(expire, EXPIRE_MS)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

const faultOf = (events: Events, where: string) => (error: unknown, id: string | undefined) =>
  events.fault({ where, error, ...(id === undefined ? {} : { id: id.replace(/-a\d+$/, '') }) })

function showQueue({ metrics }: Observed, queue: WorkQueue, roles: readonly Role[]): void {
  metrics.onCollect(async () => {
    for (const { queue: name, state, count } of await queue.counts())
      if (roles.includes(name)) metrics.instruments.queueJobs.set({ queue: name, state }, count)
  })
}
