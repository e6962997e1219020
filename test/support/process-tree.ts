// Finds the processes below one, or that live in a folder, as /proc tells it; for what a kill -9 leaves behind.
import { readdirSync, readFileSync } from 'node:fs'

/** Process ids of `root` and all its descendants. */
export function treeOf(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]))
    } catch {
      // It ended while we looked.
    }
  }
  const tree = [root]
  for (const pid of tree)
    for (const [child, parent] of parents) if (parent === pid) tree.push(child)
  return tree
}

/** Process ids whose command line, environment or working folder names `folder`. */
export function livingIn(folder: string): number[] {
  const found: number[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    try {
      const told = readFileSync(`/proc/${name}/cmdline`, 'utf8')
      const environment = readFileSync(`/proc/${name}/environ`, 'utf8')
      if (told.includes(folder) || environment.includes(`SALLYPORT_TEST_STATE=${folder}`))
        found.push(Number(name))
    } catch {
      // It ended, or is not ours to look at.
    }
  }
  return found
}

export function endNow(pids: number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // Already gone.
    }
  }
}
