// Power cuts under load: what was acknowledged before one must be there after it, from the disk alone, with an empty Redis.
import { chmod, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GatewayConfig } from '../support/gateway.ts'
import { freePort, temporaryFolder } from '../support/process.ts'
import { startClamd } from '../support/servers/clamd.ts'
import { startRedis, type TestRedis } from '../support/servers/redis.ts'
import { type Account, accountOf } from './account.ts'
import { runClient } from './client.ts'
import { type CuttableDisk, createDisk } from './disk.ts'
import { createGateway } from './gateway.ts'
import { startInbox } from './inbox.ts'
import { type Random, streamOf } from './random.ts'
import { createRecord } from './record.ts'
import { custody, quarantined, settled } from './run.ts'

/** What each cut falls into, chosen by its seed. */
const SCENES = {
  /** The dot is held until the internal server has the message. */
  held: { holdSeconds: 5, mood: 'well', up: true },
  /** Custody for every message, relayed at once. */
  custody: { holdSeconds: 0, mood: 'well', up: true },
  /** Transactions of messages in custody are under way, some for seconds. */
  slow: { holdSeconds: 1, mood: 'slow', up: true },
  /** Custody only grows. */
  down: { holdSeconds: 0, mood: 'well', up: false },
} as const
export type Scene = keyof typeof SCENES

/** Copies beyond the first that a cut may cost, where the internal server had said its 250. */
export const COPIES_PER_CUT = 15
const SHORTEST_MS = 1000
const LONGEST_MS = 5000
/** Clients that do not know yet go on asking this long after power is back. */
const CLIENTS_MS = 90_000

export type CutOptions = {
  seed: number
  cuts: number
  clients: number
  /** Each cut in one of these, in turn; all of them unless given. */
  scenes?: readonly Scene[]
  /** Load before a cut, at most. */
  longestMs?: number
  /** A disk that never flushes: it must lose mail, or the prover sees nothing. */
  careless?: boolean
  /** Where the gateway's log is kept. */
  keep?: string
  told?(cut: Cut): void
}

export type Cut = {
  scene: Scene
  /** Milliseconds of load before the cut. */
  afterMs: number
  /** Recipients acknowledged when the power went. */
  acknowledgedBefore: number
  /** Envelopes in custody on the disk when power was back. */
  custodyAfter: number
  account: Account
  settledMs: number | undefined
  /** What e2fsck found after the journal was replayed; undefined where all is well. */
  damage: string | undefined
}

type House = {
  folder: string
  disk: CuttableDisk
  redis: TestRedis
  clamd: string
  options: CutOptions
}

/** Cuts the power so often. Rejects where there can be no such disk here, before anything else is started. */
export async function cutPower(options: CutOptions): Promise<Cut[]> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('power')).path
  const { careless = false } = options
  const disk = stack.use(await createDisk({ folder, careless }))
  const redis = stack.use(await startRedis())
  const clamd = stack.use(await startClamd())
  await chmod(clamd.folder, 0o755)
  const house: House = { folder, disk, redis, clamd: clamd.unix, options }
  const cuts: Cut[] = []
  for (let number = 1; number <= options.cuts; number++) {
    const cut = await cutOnce(house, number, streamOf(options.seed, `cut ${number}`))
    cuts.push(cut)
    options.told?.(cut)
    if (number === options.cuts) break
    await redis.restart({ empty: true })
    await disk.renew()
  }
  return cuts
}

async function cutOnce(house: House, number: number, random: Random): Promise<Cut> {
  const { folder, disk, redis, options } = house
  const names = options.scenes ?? (Object.keys(SCENES) as Scene[])
  const scene = names[(number + options.seed) % names.length] ?? 'custody'
  const { holdSeconds, mood, up } = SCENES[scene]
  const record = createRecord()
  await using stack = new AsyncDisposableStack()
  const inbox = stack.use(await startInbox(record, streamOf(options.seed, `inbox ${number}`)))
  inbox.feel(mood)
  if (!up) await inbox.down()
  const state = path.join(disk.place, 'state')
  const spool = path.join(disk.place, 'spool')
  for (const each of [state, spool]) await mkdir(each, { mode: 0o755 })
  const port = await freePort()
  const http = `127.0.0.1:${await freePort()}`
  const config: GatewayConfig = {
    ...{ hostname: 'mx.test', state, spool, postmaster: 'postmaster@example.org' },
    listen: [{ address: `127.0.0.1:${port}` }],
    http: { address: http },
    domains: { 'example.org': { nextHop: inbox.url } },
    redis: redis.url,
    scanners: { clamav: { addresses: [house.clamd], restMs: 200, deadlineMs: 3000 } },
    retry: { first: '1s', longest: '5s' },
    hold: { seconds: holdSeconds },
    limits: { exempt: ['127.0.0.0/8'], spoolFree: '4MiB' },
  }
  const gateway = createGateway(options.keep ?? folder, config, http)
  stack.defer(() => gateway.kill())
  await gateway.start()
  await gateway.ready(60_000)

  const enough = new AbortController()
  const over = new AbortController()
  stack.defer(() => over.abort())
  let numbers = 0
  const clients = Array.from({ length: options.clients }, (_, i) =>
    runClient({
      ...{ name: `client ${number} ${i}`, seed: options.seed, ports: [port], record },
      number: () => ++numbers,
      enough: enough.signal,
      over: over.signal,
    }),
  )
  const afterMs = random.between(SHORTEST_MS, options.longestMs ?? LONGEST_MS)
  await sleep(afterMs)
  const acknowledgedBefore = acknowledged(record.kept.values())
  disk.cut()
  enough.abort()
  await gateway.kill()
  await redis.restart({ empty: true })
  const damage = disk.mend()
  const custodyAfter = (await custody({ spool }).catch(() => [])).length
  inbox.feel('well')
  if (!up) await inbox.up()
  const backAt = Date.now()
  await gateway.start()
  await gateway.ready(60_000)
  const patience = setTimeout(() => over.abort(), CLIENTS_MS)
  await Promise.all(clients)
  clearTimeout(patience)
  const settledMs = await settled({ spool }, backAt)
  const account = accountOf(record, await quarantined({ state }))
  await gateway.stop()
  return { ...{ scene, afterMs, acknowledgedBefore, custodyAfter, account, settledMs, damage } }
}

function acknowledged(all: Iterable<{ recipients: Map<string, { acknowledged: number }> }>) {
  let sum = 0
  for (const { recipients } of all) for (const one of recipients.values()) sum += one.acknowledged
  return sum
}

/** Why a cut is not right, in words; none where it is. */
export function wrongWith({ account, settledMs, damage }: Cut): string[] {
  // A copy is excused where the internal server took the message and could not say so (RFC 1047): no disk mends that.
  const { lost, altered, infectedInside, unexcused } = account
  return [
    ...(lost.length > 0 ? [`lost ${lost.join(', ')}`] : []),
    ...(altered.length > 0 ? [`altered ${altered.join(', ')}`] : []),
    ...(infectedInside.length > 0 ? [`infected inside ${infectedInside.join(', ')}`] : []),
    ...(unexcused.length > COPIES_PER_CUT ? [`${unexcused.length} copies`] : []),
    ...(settledMs === undefined ? ['mail still in custody after two minutes'] : []),
    ...(damage === undefined ? [] : [`a damaged file system: ${damage}`]),
  ]
}
