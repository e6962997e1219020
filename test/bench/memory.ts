// What the gateway's processes hold at rest, under many large messages (`--memory`), and after many small (`--flat N`).
import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { temporaryFolder, until } from '../support/process.ts'
import type { Cell } from './arguments.ts'
import { type Backends, startBackends } from './backends.ts'
import { openDisk } from './disk.ts'
import { createGuard } from './interruption.ts'
import { measure } from './measure.ts'
import { type Peer, startPeer } from './peers.ts'
import type { Heap } from './probe.ts'
import { membersOf, type Part, pssOf, snapshot, watchMemory } from './processes.ts'
import { startTool, type Tool } from './tool.ts'

/** All processes together at 50 messages of 20 MB at once. */
const MOST_MIB = 250
const SETTLE_MS = 3000
const SAMPLE_MS = 50
/** A process that reads a large message answers late. */
const PROBE_MS = 60_000
const LARGE: Cell = { name: 'large', size: 20_000_000, sessions: 50, perConnection: 1 }
const SMALL: Cell = { name: 'small', size: 4096, sessions: 20, perConnection: 'keep' }
/** So many measures are taken on the way to `--flat N`. */
const STEPS = 10
/** What a process's heap may grow by from the second measure to the last: caches have a limit, but fill slowly. */
const GROWTH_MIB = 6
const GROWTH_DESCRIPTORS = 20

/** What comes into custody because a scan took too long is tried again while we wait. */
const CONFIG = { retry: { first: '5s' } }

const MIB = 2 ** 20
const say = (line: string) => process.stdout.write(`${line}\n`)

type Bench = { peer: Peer; load: Tool; backends: Backends; probes: string }
type State = { pid: number; pssMib: number; descriptors: number; heap?: Heap }

const partNamed = (peer: Peer, name: string): Part[] => peer.parts.filter(p => p.name === name)

const pidsOf = (parts: readonly Part[]): number[] => {
  const seen = snapshot()
  return parts.flatMap(part => membersOf(seen, part))
}

/** Of each of the gateway's processes, the primary first; with `collected`, after a collection of garbage. */
async function stateOf({ peer, probes }: Bench, collected: boolean): Promise<State[]> {
  const pids = pidsOf(partNamed(peer, 'gateway'))
  const file = (pid: number) => path.join(probes, `${pid}.json`)
  const heaps = new Map<number, Heap>()
  for (const pid of collected ? pids : []) {
    rmSync(file(pid), { force: true })
    process.kill(pid, 'SIGUSR2')
    const read = () => {
      try {
        return JSON.parse(readFileSync(file(pid), 'utf8')) as Heap
      } catch {
        return undefined
      }
    }
    await until(`${pid} to tell of its heap`, () => read() !== undefined, PROBE_MS)
    const heap = read()
    if (heap) heaps.set(pid, heap)
  }
  return pids.map(pid => {
    const heap = heaps.get(pid)
    const descriptors = readdirSync(`/proc/${pid}/fd`).length
    return { pid, pssMib: pssOf([pid]), descriptors, ...(heap ? { heap } : {}) }
  })
}

const mib = (bytes: number) => (bytes / MIB).toFixed(1)

function tell(when: string, states: readonly State[]): void {
  const sum = states.reduce((all, one) => all + one.pssMib, 0)
  const each = states.map(({ pssMib, descriptors, heap }) => {
    const inside = heap && ` heap ${mib(heap.usedBytes)} of ${mib(heap.totalBytes)}`
    const outside = heap && ` external ${mib(heap.externalBytes)}`
    return `${pssMib.toFixed(0)}${inside ?? ''}${outside ?? ''} fd ${descriptors}`
  })
  say(`${when.padEnd(26)} PSS ${sum.toFixed(0).padStart(4)} MiB: ${each.join(' | ')}`)
}

/** Answers what was wrong. */
async function large(bench: Bench, repeat: number): Promise<string[]> {
  const wrongs: string[] = []
  for (let turn = 0; turn < repeat; turn++) {
    await sleep(SETTLE_MS)
    tell('at rest', await stateOf(bench, false))
    using memory = watchMemory(partNamed(bench.peer, 'gateway'), SAMPLE_MS)
    const { load, backends } = bench
    const order = { seconds: 600, messages: LARGE.sessions, seed: turn + 1 }
    const result = await measure(bench.peer, LARGE, { load, backends }, order)
    const peak = memory.peak()
    const cpu = result.cpuMs.gateway ?? 0
    say(
      `${LARGE.sessions} x ${mib(Number(LARGE.size))} MiB at once`.padEnd(26) +
        ` PSS ${peak.toFixed(0).padStart(4)} MiB at most: ${memory.each().map(Math.round).join(' | ')};` +
        ` ${result.messages} arrived,` +
        ` ${result.rate.toFixed(1)}/s, ${cpu.toFixed(0)} ms of CPU each`,
    )
    for (const wrong of result.wrongs) say(wrong)
    wrongs.push(...result.wrongs)
    if (peak > MOST_MIB) wrongs.push(`${peak.toFixed(0)} MiB are more than ${MOST_MIB}`)
  }
  await sleep(SETTLE_MS)
  tell('at rest again', await stateOf(bench, false))
  tell('collected', await stateOf(bench, true))
  return wrongs
}

async function flat(bench: Bench, messages: number): Promise<string[]> {
  const wrongs: string[] = []
  const states: State[][] = []
  const step = Math.ceil(messages / STEPS)
  for (let sent = 0; sent < messages; ) {
    const { load, backends } = bench
    const order = { seconds: 36_000, messages: Math.min(step, messages - sent), seed: 1 + sent }
    const result = await measure(bench.peer, SMALL, { load, backends }, order)
    wrongs.push(...result.wrongs)
    if (result.messages === 0) return wrongs
    sent += result.messages
    const state = await stateOf(bench, true)
    states.push(state)
    const redis = pssOf(pidsOf(partNamed(bench.peer, 'redis')))
    tell(`${sent} messages`, state)
    say(
      `${''.padEnd(26)} redis ${redis.toFixed(0)} MiB; ${result.rate.toFixed(0)}/s,` +
        ` ${(result.cpuMs.gateway ?? 0).toFixed(2)} ms of CPU each`,
    )
  }
  return [...wrongs, ...grown(states)]
}

/** Compares the second measure with the last: the first still warms up. */
function grown(states: readonly State[][]): string[] {
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

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      memory: { type: 'boolean' },
      flat: { type: 'string' },
      repeat: { type: 'string', default: '2' },
      config: { type: 'string', default: '{}' },
      command: { type: 'string' },
      disk: { type: 'string' },
    },
  })
  const guard = createGuard()
  await using stack = new AsyncDisposableStack()
  const disk = stack.use(await openDisk(values.disk))
  for (const line of disk.lines) say(line)
  const probes = stack.use(await temporaryFolder('bench-probe')).path
  // They run as somebody else where we are root.
  chmodSync(probes, 0o777)
  const env = {
    NODE_OPTIONS: `--expose-gc --import ${path.join(import.meta.dirname, 'probe.ts')}`,
    SALLYPORT_BENCH_PROBE: probes,
  }
  const backends = stack.use(await startBackends())
  const load = stack.use(await startTool('load.ts'))
  const other = { folder: path.resolve(values.command ?? '.'), config: {} }
  const peer = stack.use(
    await startPeer('sallyport-other', backends, {
      ...{
        config: { ...CONFIG, ...(JSON.parse(values.config) as object) },
        other,
        env,
        exim: undefined,
      },
    }),
  )
  const bench: Bench = { peer, load, backends, probes }
  const messages = Number(values.flat ?? 0)
  const wrongs = await guard(() =>
    values.flat === undefined ? large(bench, Number(values.repeat)) : flat(bench, messages),
  )
  if (wrongs.length > 0) say(peer.said().slice(-2000))
  say(wrongs.length === 0 ? 'right' : `WRONG: ${wrongs.join('; ')}`)
  process.exitCode = wrongs.length === 0 ? 0 : 1
}

await main().catch(error => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
})
