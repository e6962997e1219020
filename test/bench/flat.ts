// `--flat N`: whether the gateway's processes hold the same after very many messages as after few.
import type { Cell } from './arguments.ts'
import {
  type Bench,
  mib,
  partNamed,
  pidsOf,
  type State,
  say,
  stateOf,
  tell,
} from './gateway-state.ts'
import { type Measure, measure } from './measure.ts'
import { pssOf } from './processes.ts'

const SMALL: Cell = { name: 'small', size: 4096, sessions: 20, perConnection: 'keep' }
/** So many are sent and checked before the next: the tool keeps an entry for each of them until then. */
const CHUNK = 10_000
const FIRST_REPORT = 2000
/** At least ten on the way. */
const REPORT_EVERY = 100_000
const PROGRESS_EVERY = 50_000
const WRONGS_KEPT = 20
/** What a process's heap may grow by from the second report to the last: caches have a limit, but fill slowly. */
const GROWTH_MIB = 6
const GROWTH_DESCRIPTORS = 20
const MIB = 2 ** 20

export type Stop = { at: number; what: 'report' | 'progress' | 'nothing' }

/** Where it looks up on the way to so many messages. */
export function stopsOf(messages: number): Stop[] {
  const every = Math.min(REPORT_EVERY, Math.ceil(messages / 10))
  const multiples = (step: number) =>
    Array.from({ length: Math.floor(messages / step) }, (_, i) => (i + 1) * step)
  const all = new Set([...multiples(CHUNK), ...multiples(every), FIRST_REPORT, messages])
  const isReport = (at: number) => at % every === 0 || at === FIRST_REPORT || at === messages
  return [...all]
    .filter(at => at <= messages)
    .sort((a, b) => a - b)
    .map(at => ({
      at,
      what: isReport(at) ? 'report' : at % PROGRESS_EVERY === 0 ? 'progress' : 'nothing',
    }))
}

/** Since the last look, chunks together. */
type Since = { messages: number; seconds: number; cpuMs: number }
const NOTHING: Since = { messages: 0, seconds: 0, cpuMs: 0 }

const after = (since: Since, { messages, rate, cpuMs }: Measure): Since => ({
  messages: since.messages + messages,
  seconds: since.seconds + messages / rate,
  cpuMs: since.cpuMs + messages * (cpuMs.gateway ?? 0),
})

/** Answers what was wrong. */
export async function flat(bench: Bench, messages: number): Promise<string[]> {
  const wrongs: string[] = []
  const states: State[][] = []
  let since = NOTHING
  let sent = 0
  for (const { at, what } of stopsOf(messages)) {
    while (sent < at) {
      const { load, backends } = bench
      const order = { seconds: 36_000, messages: at - sent, seed: 1 + sent }
      const result = await measure(bench.peer, SMALL, { load, backends }, order)
      for (const wrong of result.wrongs) say(`WRONG after ${sent}: ${wrong}`)
      wrongs.push(...result.wrongs.slice(0, WRONGS_KEPT - wrongs.length))
      if (result.messages === 0) return wrongs
      sent += result.messages
      since = after(since, result)
    }
    if (what === 'nothing') continue
    const state = await stateOf(bench, what === 'report')
    if (what === 'report') states.push(state)
    tell(`${sent} messages`, state)
    say(`${''.padEnd(26)} ${others(bench, since)}`)
    since = NOTHING
  }
  return [...wrongs, ...grown(states)]
}

/** How it went, Redis, and the tool, which must not grow either. */
function others({ peer, load, backends }: Bench, { messages, seconds, cpuMs }: Since): string {
  const redis = pssOf(pidsOf(partNamed(peer, 'redis')))
  const tool = pssOf([process.pid, load.pid, backends.sink.pid])
  return (
    `redis ${redis.toFixed(0)} MiB; ${(messages / seconds).toFixed(0)}/s,` +
    ` ${(cpuMs / messages).toFixed(2)} ms of CPU each; the tool itself ${tool.toFixed(0)} MiB`
  )
}

/** Compares the second measure with the last: the first still warms up. */
export function grown(states: readonly State[][]): string[] {
  const [, before = []] = states
  const after = states.at(-1) ?? []
  return after.flatMap(({ pid, heap, descriptors }) => {
    const earlier = before.find(one => one.pid === pid)
    if (!earlier) return [`${pid} was not there before: a process has ended`]
    const bytes = (heap?.usedBytes ?? 0) - (earlier.heap?.usedBytes ?? 0)
    const opened = descriptors - earlier.descriptors
    return [
      ...(bytes > GROWTH_MIB * MIB ? [`the heap of ${pid} grew by ${mib(bytes)} MiB`] : []),
      ...(opened > GROWTH_DESCRIPTORS ? [`${pid} has ${opened} more descriptors`] : []),
    ]
  })
}
