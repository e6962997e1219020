// Keeps compiled code between starts: what strips TypeScript of its types takes 12 MB of each process that needs it.
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, globSync, statSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'

export const WORKER_PROCESS = path.join(import.meta.dirname, 'worker-process.ts')
const ROOT = path.join(import.meta.dirname, '..', '..')
const SOURCES = '{gateway,scanners,policies}/**/*.ts'
/** Workers start without it then. */
const LONGEST_MS = 30_000

/** Compiles for workers started with `flags`, unless that was done since the sources were changed. Never rejects. */
export async function compileFor(
  flags: readonly string[],
  folder: string,
  stop: AbortSignal,
): Promise<void> {
  try {
    const done = path.join(folder, `${stateOfSources(flags)}.done`)
    if (existsSync(done)) return
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const child = fork(WORKER_PROCESS, ['compile'], {
      execArgv: [...flags],
      env: { ...process.env, NODE_COMPILE_CACHE: folder },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
      signal: stop,
    })
    const [code] = await once(child, 'exit')
    if (code === 0) await writeFile(done, '')
  } catch {
    // It only saves memory: whatever is wrong with the folder, the spool's next to it will tell.
  }
}

function stateOfSources(flags: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify([process.version, ROOT, flags]))
  for (const file of globSync(SOURCES, { cwd: ROOT }).sort()) {
    const { size, mtimeMs } = statSync(path.join(ROOT, file))
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex').slice(0, 16)
}
