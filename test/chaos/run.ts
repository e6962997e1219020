// One run: clients send, things go wrong, everything is mended, and the account is made.
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PARTS } from '../../gateway/observe/ledger-account.ts'
import { type Account, accountOf, isRight, key } from './account.ts'
import { runClient } from './client.ts'
import type { Doing } from './fault.ts'
import { misbehave } from './faults.ts'
import type { ChaosGateway } from './gateway.ts'
import { endOne } from './gateway-faults.ts'
import { recognise } from './mail.ts'
import { streamOf } from './random.ts'
import { createRecord, type Record } from './record.ts'
import { type Layout, type Stage, setStage } from './stage.ts'

/** Everything acknowledged is at its end this long after the last fault. */
const SETTLE_MS = 120_000
/** The ledger believes the second of two looks into the spool, 15 seconds apart. */
const LOOKS_MS = 40_000

export type RunOptions = {
  seconds: number
  /** Goes on, up to three times as long, until so many messages were acknowledged: a slow machine needs longer. */
  atLeast?: number
  seed: number
  faults: readonly string[]
  layout: Layout
  clients: number
  /** Between the starts of two faults. */
  longestPauseMs: number
  /** Wait until the ledger has looked twice, however soon the spool is empty. */
  patient: boolean
  /** Keeps what is needed to find out why, and is called before the stage is struck. */
  look?(stage: Stage, record: Record, account: Account): Promise<void>
}

export type Outcome = {
  account: Account
  record: Record
  /** Milliseconds from the last fault to the empty spool; undefined where it did not come to that. */
  settledMs: number | undefined
  ledger: { [part: string]: number }
  right: boolean
}

export async function run(options: RunOptions): Promise<Outcome> {
  const record = createRecord()
  const { seed, layout } = options
  const rspamd = options.faults.some(name => name.startsWith('rspamd'))
  await using stage = await setStage(record, { seed, layout, rspamd })
  const enough = enoughOf(options, record)
  const over = new AbortController()
  let numbers = 0
  const clients = Array.from({ length: options.clients }, (_, i) =>
    runClient({
      name: `client ${i}`,
      seed,
      ports: stage.ports,
      record,
      number: () => ++numbers,
      enough,
      over: over.signal,
    }),
  )
  const doing = { stage, random: streamOf(seed, 'faults'), record }
  const partway = layout === 'two' ? endPartway(doing, options.seconds * 500) : undefined
  await misbehave(doing, options.faults, options.longestPauseMs, enough)
  await partway
  const mendedAt = Date.now()
  const lateClients = setTimeout(() => over.abort(), SETTLE_MS - 20_000)
  await Promise.all(clients)
  clearTimeout(lateClients)
  const settledMs = await settled(stage, mendedAt)
  if (settledMs === undefined)
    record.violations.push(`still in custody: ${(await custody(stage)).join(' ')}`)
  if (options.patient) await sleep(Math.max(0, mendedAt + LOOKS_MS - Date.now()))
  // The account is to be seen whatever the gateway says of itself.
  const ledger = await ledgerOf(stage).catch((error: Error): { [part: string]: number } => {
    record.violations.push(error.message)
    return {}
  })
  // Nobody else carries mail from the spool: what leaves it must have been seen to.
  if (layout === 'one' && (ledger.elsewhere ?? 0) !== 0)
    record.violations.push(`the ledger has elsewhere ${ledger.elsewhere}`)
  // Whoever does not end it himself believes that mail has left custody after two looks.
  const soon = layout === 'one' || options.patient
  for (const part of ['missing', 'unaccounted', ...(soon ? ['custody'] : [])])
    if ((ledger[part] ?? 0) !== 0) record.violations.push(`the ledger has ${part} ${ledger[part]}`)
  const account = accountOf(record, await quarantinedIn(stage.states))
  const right = isRight(account) && record.violations.length === 0 && record.strange === 0
  await options.look?.(stage, record, account)
  return { account, record, settledMs, ledger, right }
}

function enoughOf({ seconds, atLeast = 0 }: RunOptions, record: Record): AbortSignal {
  const enough = new AbortController()
  const startedAt = Date.now()
  const look = setInterval(() => {
    const times = (Date.now() - startedAt) / (seconds * 1000)
    if (times < 1 || (times < 3 && record.told.acknowledged < atLeast)) return
    clearInterval(look)
    enough.abort()
  }, 50)
  return enough.signal
}

export const custody = async ({ spool }: Pick<Stage, 'spool'>): Promise<string[]> =>
  (await readdir(path.join(spool, 'queued'))).filter(name => name.endsWith('.json'))

/** Milliseconds since `since` until nothing is in custody; undefined where it does not come to that. */
export async function settled(
  stage: Pick<Stage, 'spool'>,
  since: number,
): Promise<number | undefined> {
  while (Date.now() - since < SETTLE_MS) {
    if ((await custody(stage)).length === 0) return Date.now() - since
    await sleep(200)
  }
  return undefined
}

/** One of two gateways is killed for good while mail goes through it. */
async function endPartway(doing: Doing, afterMs: number): Promise<void> {
  await sleep(afterMs)
  const text = await endOne(doing)
  doing.record.faults.push({ at: Date.now(), name: 'gateway-gone', text })
}

/** The sum over all gateways. */
export async function ledgerOf({ gateways }: Stage): Promise<{ [part: string]: number }> {
  const sum: { [part: string]: number } = {}
  for (const gateway of gateways)
    for (const [part, count] of Object.entries(await ledgerOfOne(gateway)))
      sum[part] = (sum[part] ?? 0) + (part === 'missing' ? Math.abs(count) : count)
  return sum
}

async function ledgerOfOne(gateway: ChaosGateway): Promise<{ [part: string]: number }> {
  await gateway.ready(30_000)
  const samples = await gateway.metrics()
  const part = (name: string) => samples('sallyport_ledger_recipients_total', { part: name })
  const parts = Object.fromEntries(PARTS.map(name => [name, part(name)]))
  const { accepted = 0, recovered = 0, ...ends } = parts
  const inCustody = samples('sallyport_custody_recipients')
  const ended = Object.values(ends).reduce((sum, count) => sum + count, inCustody)
  return {
    ...parts,
    custody: inCustody,
    missing: accepted + recovered - ended,
    unaccounted: samples('sallyport_custody_unaccounted'),
  }
}

export async function quarantinedIn(states: readonly string[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const state of states)
    for (const [one, count] of await quarantined({ state }))
      counts.set(one, (counts.get(one) ?? 0) + count)
  return counts
}

/** How often each recipient's message lies in the quarantine, by number and address. */
export async function quarantined({ state }: { state: string }): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const place = (...names: string[]) => path.join(state, 'quarantine', ...names)
  for (const file of await readdir(place('decisions')).catch(() => [])) {
    const name = file.slice(0, -'.json'.length)
    const content = await readFile(place('new', name)).catch(() => undefined)
    const found = content && recognise(content)
    if (!found) continue
    const decision = JSON.parse(await readFile(place('decisions', file), 'utf8')) as {
      recipients: { address: string }[]
    }
    for (const { address } of decision.recipients) {
      const one = key(found.number, address)
      counts.set(one, (counts.get(one) ?? 0) + 1)
    }
  }
  return counts
}
