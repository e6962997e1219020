// A work worker put together: scan and relay jobs, and in the first of them the sweep and the quarantine's expiry.
import type { Config } from '../config/schema.ts'
import type { Events } from '../observe/events.ts'
import type { MetricsMessage } from '../observe/metrics-worker.ts'
import type { Quarantine } from '../quarantine/quarantine.ts'
import { type Consumer, createConsumer } from '../queue/consumer.ts'
import type { RelayJob, ScanJob } from '../queue/jobs.ts'
import type { WorkQueue } from '../queue/queue.ts'
import { createSweep } from '../spool/sweep.ts'
import { createAlone } from './alone.ts'
import { createEngineWatch } from './engine-watch.ts'
import { type House, makeRelay, makeScan, openHouse, type Relay } from './house.ts'
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
  const house = await openHouse(start.config, events)
  const { live, queue, stack } = house
  const consumers: Consumer[] = []
  let letGo = () => {}
  let reasons = () => [] as string[]
  let renew = async (_next: Config) => {}

  let handOn = queue.relay
  if (start.roles.includes('relay')) {
    const relaying = await startRelaying(house, start)
    consumers.push(relaying.consumer)
    handOn = directly(relaying.run, queue.relay)
  }
  if (start.roles.includes('scan')) {
    const scanning = await startScanning(house, observed, start.slot === 1, handOn)
    consumers.push(scanning.consumer)
    reasons = scanning.reasons
    renew = scanning.renew
    letGo = scanning.close
  }
  if (start.slot === 1) showQueue(observed, queue, start.roles)

  return {
    reasons: () => [...reasons(), ...(queue.reachable() ? [] : ['Redis is not reachable'])],
    async reload(next) {
      await renew(next)
      live.config = next
    },
    async stop(graceMs) {
      letGo()
      await Promise.all(consumers.map(consumer => consumer.stop(graceMs)))
      await stack.disposeAsync()
    },
  }
}

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
  const { live, seal, events, stack } = house
  const { run, scanners, canary, renew, close } = await makeScan(house, handOn)
  const watch = stack.use(createEngineWatch(scanners, canary, observed, first))
  const consumer = createConsumer<ScanJob>({
    redis: live.config.redis,
    seal,
    queue: 'scan',
    concurrency: SCANS,
    run,
    fault: faultOf(events, 'scan'),
  })
  return { consumer, reasons: watch.reasons, renew, close }
}

async function startRelaying(house: House, start: Start) {
  const { live, seal, spool, queue, hints, events, stack } = house
  const config = () => live.config
  const { run, options } = await makeRelay(house)
  if (start.slot === 1) {
    const alone = stack.use(createAlone({ start, config, spool, events, relay: options, passOn }))
    stack.use(createSweep({ config, spool, queue, hints, events, tryAlone: alone.take }))
    stack.use(expireQuarantine(options.quarantine, events))
  }
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

const passOn = (message: MetricsMessage): void => {
  process.send?.(message, undefined, undefined, () => undefined)
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
