// One run: clients send, things go wrong, everything is mended, and the account is made.
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Account, accountOf, isRight, key } from './account.ts'
import { runClient } from './client.ts'
import { misbehave } from './faults.ts'
import { recognise } from './mail.ts'
import { streamOf } from './random.ts'
import { createRecord, type Record } from './record.ts'
import { type Stage, setStage } from './stage.ts'

/** Everything acknowledged is at its end this long after the last fault. */
const SETTLE_MS = 120_000
/** The ledger believes the second of two looks into the spool, a minute apart. */
const LOOKS_MS = 125_000

export type RunOptions = {
  seconds: number
  seed: number
  faults: readonly string[]
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
  await using stage = await setStage(record, options.seed)
  const enough = AbortSignal.timeout(options.seconds * 1000)
  const over = new AbortController()
  let numbers = 0
  const clients = Array.from({ length: options.clients }, (_, i) =>
    runClient({
      name: `client ${i}`,
      seed: options.seed,
      port: stage.port,
      record,
      number: () => ++numbers,
      enough,
      over: over.signal,
    }),
  )
  const random = streamOf(options.seed, 'faults')
  await misbehave({ stage, random, record }, options.faults, options.longestPauseMs, enough)
  const mendedAt = Date.now()
  const lateClients = setTimeout(() => over.abort(), SETTLE_MS - 20_000)
  await Promise.all(clients)
  clearTimeout(lateClients)
  const settledMs = await settled(stage, mendedAt)
  if (settledMs === undefined)
    record.violations.push(`still in custody: ${(await custody(stage)).join(' ')}`)
  if (options.patient) await sleep(Math.max(0, mendedAt + LOOKS_MS - Date.now()))
  const ledger = await ledgerOf(stage)
  for (const part of ['missing', 'unaccounted', 'custody'])
    if (ledger[part] !== 0) record.violations.push(`the ledger has ${part} ${ledger[part]}`)
  const account = accountOf(record, await quarantined(stage))
  const right = isRight(account) && record.violations.length === 0 && record.strange === 0
  await options.look?.(stage, record, account)
  return { account, record, settledMs, ledger, right }
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

async function ledgerOf({ gateway }: Stage): Promise<{ [part: string]: number }> {
  await gateway.ready(30_000)
  const samples = await gateway.metrics()
  const part = (name: string) => samples('sallyport_ledger_recipients_total', { part: name })
  const names = ['accepted', 'recovered', 'relayed', 'quarantined', 'discarded', 'notified']
  const parts = Object.fromEntries(names.map(name => [name, part(name)]))
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

/** How often each recipient's message lies in the quarantine, by number and address. */
export async function quarantined({ state }: Pick<Stage, 'state'>): Promise<Map<string, number>> {
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
