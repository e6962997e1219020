// Programs that a killed gateway left running: found by what they name, and ended before new ones start.
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeAnew } from '../spool/disk.ts'

const OWNER_FILE = 'gateway.json'

/**
 * Claims `folder` for this process, and ends every `program` that names `folder` in its command line. They are not
 * taken over: the configuration may have changed, and only a child of ours can be watched well.
 * Rejects where another gateway that lives has claimed the folder.
 */
export async function endLeftovers(
  folder: string,
  program: string,
  stopTimeoutMs: number,
): Promise<number[]> {
  await claim(folder)
  const pids = await running(folder, program)
  await Promise.all(pids.map(pid => end(pid, folder, program, stopTimeoutMs)))
  return pids
}

async function claim(folder: string): Promise<void> {
  const file = path.join(folder, OWNER_FILE)
  const owner = await readFile(file, 'utf8')
    .then(text => JSON.parse(text) as { pid: number; started: string })
    .catch(() => undefined)
  if (owner !== undefined && owner.pid !== process.pid) {
    const started = await startOf(owner.pid)
    if (started !== undefined && started === owner.started) {
      throw new Error(`${folder} is in use by another gateway (process ${owner.pid})`)
    }
  }
  await writeAnew(file, JSON.stringify({ pid: process.pid, started: await startOf(process.pid) }))
}

/** When a process started, in the kernel's own count; undefined where it doesn't live. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The command's name, in parentheses, may hold anything.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields?.[0] === 'Z' ? undefined : fields?.[19]
}

async function isOurs(pid: number, folder: string, program: string): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  // Some programs rewrite it with spaces.
  const [name = ''] = command.split(/[\0 ]/, 1)
  return path.basename(name) === program && command.includes(`${folder}/`)
}

async function running(folder: string, program: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter(Number.isInteger)
  const ours = await Promise.all(pids.map(pid => isOurs(pid, folder, program)))
  return pids.filter((_, n) => ours[n])
}

async function end(
  pid: number,
  folder: string,
  program: string,
  stopTimeoutMs: number,
): Promise<void> {
  const started = await startOf(pid)
  const lives = async () => started !== undefined && (await startOf(pid)) === started
  const signal = async (name: NodeJS.Signals) => {
    if (!(await lives()) || !(await isOurs(pid, folder, program))) return
    try {
      process.kill(pid, name)
    } catch {
      // Ended in between.
    }
  }
  // Stopped, it would never see the SIGTERM.
  await signal('SIGCONT')
  await signal('SIGTERM')
  for (const began = Date.now(); Date.now() - began < stopTimeoutMs && (await lives()); ) {
    await sleep(20)
  }
  await signal('SIGKILL')
  while (await lives()) await sleep(20)
}
