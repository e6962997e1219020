// Runs a program once: no shell, no environment or descriptors of ours, bounded output, all of its group ended after.
import { spawn } from 'node:child_process'

const OUTPUT_BYTES = 65_536
/** Milliseconds the rest of its output is waited for once it has ended. */
const LAST_WORDS_MS = 500
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export type Outcome =
  | { kind: 'exited'; code: number; output: string }
  | { kind: 'down' | 'slow'; cause: string }

export type Command = {
  /** Absolute. */
  program: string
  args: string[]
  /** Where it runs, and its HOME. */
  folder: string
  environment: Record<string, string>
  /** Ends it. */
  signal: AbortSignal
}

/** Never rejects. */
export async function runCommand(command: Command): Promise<Outcome> {
  const { program, args, folder, environment, signal } = command
  if (signal.aborted) return TOO_SLOW
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const chunks: Buffer[] = []
  let keptBytes = 0
  // A group of its own: what it starts is ended with it. Node closes all our descriptors in it.
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...environment, PATH, LANG: 'C', HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    shell: false,
  })
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      if (keptBytes < OUTPUT_BYTES) chunks.push(chunk.subarray(0, OUTPUT_BYTES - keptBytes))
      keptBytes += chunk.length
    })
  const endGroup = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Nobody is left of it.
    }
  }
  signal.addEventListener('abort', endGroup, { once: true })
  const output = () => Buffer.concat(chunks).toString('utf8')
  const exited = (code: number | null, by: NodeJS.Signals | null) => {
    signal.removeEventListener('abort', endGroup)
    child.stdout.destroy()
    child.stderr.destroy()
    if (signal.aborted) resolve(TOO_SLOW)
    else if (code === null) resolve({ kind: 'down', cause: `it was ended by ${by}` })
    else resolve({ kind: 'exited', code, output: output() })
  }
  child.once('error', (error: NodeJS.ErrnoException) => {
    signal.removeEventListener('abort', endGroup)
    resolve({ kind: 'down', cause: `cannot start it: ${error.code ?? error.message}` })
  })
  child.once('exit', (code, by) => {
    endGroup()
    // What has left its group may hold the pipes open for ever.
    const timer = setTimeout(() => exited(code, by), LAST_WORDS_MS)
    child.once('close', () => {
      clearTimeout(timer)
      exited(code, by)
    })
  })
  return promise
}

const TOO_SLOW: Outcome = { kind: 'slow', cause: 'no verdict before the deadline' }
