// What process trees cost, as /proc tells it: CPU time, and memory with what they share counted once.
import { readdirSync, readFileSync } from 'node:fs'

type Seen = { parent: number; name: string; cpuMs: number }
export type Snapshot = Map<number, Seen>

/** A share of what is measured: the trees of these processes, or those of some name in them. */
export type Part = {
  name: string
  roots: number[]
  only?: string
  without?: string
  /** Tells its CPU time where the tree doesn't, since somebody in it does not wait for its children. */
  spentMs?(): number
}

/** USER_HZ, which is 100 wherever Linux is built for Debian. */
const TICK_MS = 10

const text = (file: string): string => {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    // It ended while we looked.
    return ''
  }
}

export function snapshot(): Snapshot {
  const seen: Snapshot = new Map()
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const stat = text(`/proc/${pid}/stat`)
    const close = stat.lastIndexOf(')')
    if (close < 0) continue
    const fields = stat.slice(close + 2).split(' ')
    // proc(5): utime, stime, and those of children that were waited for.
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    const name = stat.slice(stat.indexOf('(') + 1, close)
    seen.set(Number(pid), { parent: Number(fields[1]), name, cpuMs: ticks * TICK_MS })
  }
  return seen
}

/** The processes of a part: a process that is excluded takes those below it along. */
export function membersOf(seen: Snapshot, part: Part): number[] {
  const children = Map.groupBy(seen.keys(), pid => seen.get(pid)?.parent ?? 0)
  const members: number[] = []
  const visit = (pid: number, isIn: boolean): void => {
    const process = seen.get(pid)
    if (!process || process.name === part.without) return
    const belongs = isIn || process.name === part.only
    if (belongs) members.push(pid)
    for (const child of children.get(pid) ?? []) visit(child, belongs)
  }
  for (const root of part.roots) visit(root, part.only === undefined)
  return members
}

/** Milliseconds of each part so far. */
export function cpuOf(parts: readonly Part[]): number[] {
  const seen = snapshot()
  const ofTree = (part: Part) =>
    membersOf(seen, part).reduce((sum, pid) => sum + (seen.get(pid)?.cpuMs ?? 0), 0)
  return parts.map(part => part.spentMs?.() ?? ofTree(part))
}

/** Proportional set size in MiB: pages that n processes share count as 1/n for each. */
export function pssOf(pids: readonly number[]): number {
  return pssOfEach(pids).reduce((sum, one) => sum + one, 0)
}

function pssOfEach(pids: readonly number[]): number[] {
  const kib = pids.map(pid => /^Pss:\s+(\d+)/m.exec(text(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0)
  return kib.map(one => Number(one) / 1024)
}

/** How often processes are looked for that began or ended. */
const TREE_MS = 1000

/** Looks at the memory of these parts now and then, and remembers the most there was. */
export function watchMemory(
  parts: readonly Part[],
  everyMs = 500,
): Disposable & { peak(): number; each(): number[] } {
  let peak = 0
  let each: number[] = []
  let pids: number[] = []
  let lookedAt = Number.NEGATIVE_INFINITY
  const look = () => {
    // To go through all processes costs more than to ask a few of them.
    if (performance.now() - lookedAt > TREE_MS) {
      const seen = snapshot()
      pids = parts.flatMap(part => membersOf(seen, part))
      lookedAt = performance.now()
    }
    const now = pssOfEach(pids)
    const sum = now.reduce((all, one) => all + one, 0)
    if (sum <= peak) return
    peak = sum
    each = now
  }
  const timer = setInterval(look, everyMs)
  return {
    peak() {
      look()
      return peak
    },
    /** Of each process when there was most. */
    each: () => each,
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
