// One cell at one peer: the load is sent, all of it is waited for and checked, and what it took is counted.
import { setTimeout as sleep } from 'node:timers/promises'
import { accountOf, wrongsOf } from './account.ts'
import type { Cell } from './arguments.ts'
import type { Backends } from './backends.ts'
import type { LoadOrder, LoadResult } from './load.ts'
import type { Peer } from './peers.ts'
import { cpuOf, type Part, watchMemory } from './processes.ts'
import type { SinkReport } from './sink.ts'
import { type Percentiles, percentiles } from './statistics.ts'
import type { Tool } from './tool.ts'

export type Measure = {
  /** Messages that reached their end, inside or refused as infected, per second from the first MAIL to the last end. */
  rate: number
  /** That of which the cell has a share. */
  fullRate?: number
  messages: number
  /** Where messages are due at a time, what they were late is added to both. */
  dotToReplyMs: Percentiles
  endToEndMs: Percentiles
  /** Milliseconds of CPU per message, by part. */
  cpuMs: { [part: string]: number }
  /** The most that the peer's own processes had, summed PSS. */
  peakMiB: number
  /** What went wrong; empty where everything is as it must be. */
  wrongs: string[]
}

/** Nothing new inside for so long, what is missing is lost. */
const LOST_MS = 30_000
/** What a gateway still does for a message after it has arrived is part of its cost. */
const AFTERMATH_MS = 200

let runs = 0

type Tools = { load: Tool; backends: Backends }
type Options = { seconds: number; messages: number; seed: number }

/** Where the cell is a share of the full rate, that is measured first. */
export async function measure(
  peer: Peer,
  cell: Cell,
  tools: Tools,
  options: Options,
): Promise<Measure> {
  const full = await once(peer, cell, tools, options)
  if (cell.pace === undefined || full.messages === 0) return full
  const perSecond = full.rate * cell.pace
  const paced = await once(peer, cell, tools, { ...options, perSecond })
  const before = full.wrongs.map(wrong => `at its full rate: ${wrong}`)
  return { ...paced, fullRate: full.rate, wrongs: [...before, ...paced.wrongs] }
}

async function once(
  peer: Peer,
  cell: Cell,
  { load, backends }: Tools,
  options: Options & { perSecond?: number },
): Promise<Measure> {
  const run = `r${process.pid}x${++runs}`
  await backends.sink.ask({ run })
  const parts: Part[] = [
    ...peer.parts,
    { name: 'clamd', roots: [backends.clamd.pid()] },
    { name: 'slapd', roots: [process.pid], only: 'slapd' },
    { name: 'load', roots: [load.pid] },
    { name: 'sink', roots: [backends.sink.pid] },
  ]
  using memory = watchMemory(peer.parts)
  const before = cpuOf(parts)
  const order: LoadOrder = {
    ...{ run, ports: peer.ports, size: cell.size, sessions: cell.sessions },
    ...{ perConnection: cell.perConnection, ...options },
    ...{ contentSeed: Math.floor(Math.random() * 2 ** 31) },
  }
  const result = (await load.ask(order)) as LoadResult
  await allInside(backends.sink, result, peer)
  await sleep(AFTERMATH_MS)
  const after = cpuOf(parts)
  const { arrivals, strange } = (await backends.sink.ask('report')) as SinkReport
  const account = accountOf(result.sent, arrivals)
  const messages = account.arrived + account.refused
  const startedAt = result.sent.reduce((least, m) => Math.min(least, m.startedAt), Infinity)
  return {
    messages,
    rate: messages === 0 ? 0 : (1000 * messages) / (account.endedAt - startedAt),
    dotToReplyMs: percentiles(result.sent.map(m => m.repliedAt - m.dotAt + m.lateMs)),
    endToEndMs: percentiles(account.endToEndMs),
    cpuMs: Object.fromEntries(
      parts.map(({ name }, i) => [name, ((after[i] ?? 0) - (before[i] ?? 0)) / messages]),
    ),
    peakMiB: memory.peak(),
    wrongs: [
      ...wrongsOf(account, peer),
      ...(strange > 0 ? [`${strange} that nobody sent`] : []),
      ...(result.faultCount > 0
        ? [`${result.faultCount} faults: ${result.faults.join('; ')}`]
        : []),
      ...(messages === 0 ? ['nothing arrived'] : []),
    ],
  }
}

/** Waits for every acknowledged recipient, as long as more of them come. */
async function allInside(sink: Tool, { sent }: LoadResult, { discards }: Peer): Promise<void> {
  const due = sent.filter(m => m.code === 250 && !(discards && m.infected))
  const wanted = due.reduce((sum, m) => sum + m.recipients.length, 0)
  let count = -1
  let changedAt = Date.now()
  while (Date.now() - changedAt < LOST_MS) {
    const got = Number(await sink.ask('count'))
    if (got >= wanted) return
    if (got !== count) changedAt = Date.now()
    count = got
    await sleep(20)
  }
}
