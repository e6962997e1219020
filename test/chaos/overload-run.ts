// A run under overload: a rush of clients, then a crowd of idle and slow ones, and what was not as it should be.
import { accountOf } from './account.ts'
import { type Crowd, crowd } from './crowd.ts'
import { createRecord } from './record.ts'
import { ledgerOf, quarantinedIn, settled } from './run.ts'
import { type Rush, rush } from './rush.ts'
import { setStage } from './stage.ts'

/** Of all the gateway's processes together, whatever is asked of them. */
const MEMORY_BYTES = 512 * 2 ** 20
/** What is not taken is told so this soon. */
const REFUSED_MS = 5000
const CALM_MS = 10_000
/** One message among a crowd. */
const THROUGH_MS = 5000

export type OverloadOptions = {
  clients: number
  seconds: number
  idle: number
  slow: number
  seed: number
}

export type Overload = { rush: Rush; crowd: Crowd; faults: string[] }

export async function overload(options: OverloadOptions): Promise<Overload> {
  const record = createRecord()
  const connections = options.clients + options.idle + options.slow + 100
  await using stage = await setStage(record, {
    ...{ seed: options.seed, layout: 'one', rspamd: false },
    // Of each receive worker; there are two.
    limits: { connections, held: Math.floor(options.clients / 5) },
  })
  const rushed = await rush(stage, record, options)
  const crowded = await crowd(stage, { idle: options.idle, slow: options.slow, messages: 5 })
  const faults = [...wrongWithRush(rushed), ...wrongWithCrowd(crowded, options)]
  if ((await settled(stage, Date.now())) === undefined) faults.push('mail is still in custody')
  const account = accountOf(record, await quarantinedIn(stage.states))
  for (const one of ['lost', 'unexcused', 'infectedInside'] as const)
    if (account[one].length > 0) faults.push(`${one}: ${account[one].join(' ')}`)
  const { missing } = await ledgerOf(stage)
  if (missing !== 0) faults.push(`the ledger has missing ${missing}`)
  return { rush: rushed, crowd: crowded, faults }
}

function wrongWithRush(rush: Rush): string[] {
  const checks: [boolean, string][] = [
    [rush.taken > 0, 'nothing was taken'],
    [rush.refused > 0, 'nobody was refused: it was no overload'],
    [rush.unanswered.length === 0, `without a proper answer: ${rush.unanswered.slice(0, 5)}`],
    [rush.refusedMs.most < REFUSED_MS, `a refusal took ${rush.refusedMs.most} ms`],
    [rush.memoryBytes.most < MEMORY_BYTES, `${rush.memoryBytes.most} octets of memory`],
    [rush.unready.some(why => why.includes('held')), '/health/ready did not say so'],
    [(rush.calmMs ?? CALM_MS) < CALM_MS, `latency after: ${rush.latencyMs.after} ms`],
  ]
  return checks.filter(([right]) => !right).map(([, text]) => text)
}

function wrongWithCrowd({ sent, sentMs, idle, slow, memoryBytes }: Crowd, wanted: OverloadOptions) {
  const checks: [boolean, string][] = [
    [idle >= wanted.idle && slow >= wanted.slow, `only ${idle} idle and ${slow} slow got in`],
    [sent.every(one => one?.dot?.code === 250), 'a normal client did not get its mail through'],
    [Math.max(...sentMs) < THROUGH_MS, `it took ${Math.max(...sentMs)} ms`],
    [memoryBytes < MEMORY_BYTES, `${memoryBytes} octets of memory`],
  ]
  return checks.filter(([right]) => !right).map(([, text]) => text)
}
