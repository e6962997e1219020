// What the gateway's processes hold: memory, heap after a collection, descriptors; as a value and as a line.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { until } from '../support/process.ts'
import type { Backends } from './backends.ts'
import type { Peer } from './peers.ts'
import type { Heap } from './probe.ts'
import { membersOf, type Part, pssOf, snapshot } from './processes.ts'
import type { Tool } from './tool.ts'

/** A process that reads a large message answers late. */
const PROBE_MS = 60_000
const MIB = 2 ** 20

export const say = (line: string) => process.stdout.write(`${line}\n`)

/** `probes` is the folder where each process writes of its heap. */
export type Bench = { peer: Peer; load: Tool; backends: Backends; probes: string }
export type State = { pid: number; pssMib: number; descriptors: number; heap?: Heap }

export const partNamed = (peer: Peer, name: string): Part[] =>
  peer.parts.filter(p => p.name === name)

export const pidsOf = (parts: readonly Part[]): number[] => {
  const seen = snapshot()
  return parts.flatMap(part => membersOf(seen, part))
}

/** Of each of the gateway's processes, the primary first; with `collected`, after a collection of garbage. */
export async function stateOf({ peer, probes }: Bench, collected: boolean): Promise<State[]> {
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

export const mib = (bytes: number) => (bytes / MIB).toFixed(1)

export function tell(when: string, states: readonly State[]): void {
  const sum = states.reduce((all, one) => all + one.pssMib, 0)
  const each = states.map(({ pssMib, descriptors, heap }) => {
    const inside = heap && ` heap ${mib(heap.usedBytes)} of ${mib(heap.totalBytes)}`
    const outside = heap && ` external ${mib(heap.externalBytes)}`
    return `${pssMib.toFixed(0)}${inside ?? ''}${outside ?? ''} fd ${descriptors}`
  })
  say(`${when.padEnd(26)} PSS ${sum.toFixed(0).padStart(4)} MiB: ${each.join(' | ')}`)
}
