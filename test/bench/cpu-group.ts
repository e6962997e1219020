// A control group counts the CPU time of all that began in it: of children too that nobody waited for (cgroups(7)).
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import path from 'node:path'
import { until } from '../support/process.ts'

export type CpuGroup = {
  /** A command that starts the same program in the group. */
  within(program: string, args: readonly string[]): [program: string, args: string[]]
  /** NaN where no group could be made. */
  spentMs(): number
} & AsyncDisposable

/** Version 1, then 2, each with the file that tells and what it counts in. */
const KINDS = [
  { root: '/sys/fs/cgroup/cpuacct', file: 'cpuacct.usage', counter: /^(\d+)/, perMs: 1e6 },
  { root: '/sys/fs/cgroup', file: 'cpu.stat', counter: /^usage_usec (\d+)/m, perMs: 1e3 },
]
const LEAVE_MS = 5000

/** Wants root, and a machine that lets it; otherwise nothing is counted. */
export function makeCpuGroup(name: string): CpuGroup {
  for (const { root, file, counter, perMs } of KINDS) {
    const folder = path.join(root, `${name}-${process.pid}`)
    try {
      mkdirSync(folder)
    } catch {
      continue
    }
    const counted = path.join(folder, file)
    if (!existsSync(counted)) {
      rmdirSync(folder)
      continue
    }
    return {
      within: (program, args) => [
        '/bin/sh',
        ['-c', 'echo $$ >"$0" && exec "$@"', path.join(folder, 'cgroup.procs'), program, ...args],
      ],
      spentMs: () => Number(counter.exec(readFileSync(counted, 'utf8'))?.[1]) / perMs,
      async [Symbol.asyncDispose]() {
        await until(`${folder} to be left by all`, () => isRemoved(folder), LEAVE_MS)
      },
    }
  }
  return {
    within: (program, args) => [program, [...args]],
    spentMs: () => Number.NaN,
    async [Symbol.asyncDispose]() {},
  }
}

function isRemoved(folder: string): boolean {
  try {
    rmdirSync(folder)
    return true
  } catch {
    return false
  }
}
