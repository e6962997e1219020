// Private processes, ports and folders for tests and the demo; everything started here ends here.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Client ports start at 32768 here: a server port above could be dialled into by its own client. */
const PORTS = { first: 12_000, last: 32_000 }
const handedOut = new Set<number>()

/** A port on 127.0.0.1 that nothing listened on a moment ago, and that this process has not handed out yet. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first))
    if (handedOut.has(port)) continue
    const free = await new Promise<boolean>(resolve => {
      const probe = net.createServer()
      probe.once('error', () => resolve(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
    })
    if (!free) continue
    handedOut.add(port)
    return port
  }
  throw new Error('no free port found below 32000')
}

export type Folder = { path: string } & AsyncDisposable

/** A private folder, removed with what is in it. World-traversable, since servers may change their user. */
export async function temporaryFolder(name = 'sallyport'): Promise<Folder> {
  const folder = await mkdtemp(path.join(tmpdir(), `${name}-`))
  await chmod(folder, 0o755)
  return {
    path: folder,
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    },
  }
}

export type Running = {
  pid: number
  /** Standard output and error so far. */
  output(): string
  /** Sends a signal; SIGSTOP and SIGCONT too. After SIGSTOP it has stopped: not one of its threads answers any more. */
  signal(name: NodeJS.Signals): void
  /** Resolves with the exit code (or 128 + signal) once ended. */
  ended: Promise<number>
  /** SIGTERM, after 5 s SIGKILL. */
  stop(): Promise<void>
  kill(): Promise<void>
} & AsyncDisposable

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a program in the foreground of its own. Rejects if it can't be started. */
export async function start(
  command: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; uid?: number; gid?: number } = {},
): Promise<Running> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-1_000_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = new Promise<number>(resolve => {
    child.once('exit', (code, signal) => {
      running.delete(child)
      resolve(code ?? (signal === null ? 1 : 128))
    })
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  running.add(child)
  const stop = async (first: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGCONT')
    child.kill(first)
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
    await ended
    clearTimeout(timer)
  }
  return {
    pid: child.pid ?? 0,
    output: () => output,
    signal: name => {
      child.kill(name)
      if (name === 'SIGSTOP') awaitStop(child.pid ?? 0)
    },
    ended,
    stop: () => stop('SIGTERM'),
    kill: () => stop('SIGKILL'),
    [Symbol.asyncDispose]: () => stop('SIGTERM'),
  }
}

/** A signal only asks: a thread at work on another core goes on for a moment, long enough to answer a request. */
function awaitStop(pid: number): void {
  const halt = new Int32Array(new SharedArrayBuffer(4))
  for (let tries = 0; tries < 2000 && !hasStopped(pid); tries++) Atomics.wait(halt, 0, 0, 1)
}

/** Whether all its threads have; a process that has ended counts (proc(5), the state after the name in `stat`). */
function hasStopped(pid: number): boolean {
  try {
    const tasks = `/proc/${pid}/task`
    return readdirSync(tasks).every(id => {
      const stat = readFileSync(`${tasks}/${id}/stat`, 'latin1')
      return /^[TtZXx]/.test(stat.slice(stat.lastIndexOf(')') + 2))
    })
  } catch {
    return true
  }
}

/** Waits until `probe` answers something truthy; rejects, with what is being waited for, after `timeoutMs`. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs = 15_000,
): Promise<NonNullable<T>> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const value = await probe()
    if (value) return value
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`)
    await sleep(20)
  }
}

/** Whether something listens there: a port on 127.0.0.1, or a unix socket. */
export function listening(where: number | string): Promise<boolean> {
  return new Promise(resolve => {
    const socket =
      typeof where === 'number' ? net.connect(where, '127.0.0.1') : net.connect({ path: where })
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => socket.destroy())
    socket.once('connect', () => socket.destroy())
  })
}

/** Uid and gid of a system user, or undefined where we are not root or it does not exist. */
export function userOf(name: string): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const uid = spawnSync('id', ['-u', name], { encoding: 'utf8' })
  const gid = spawnSync('id', ['-g', name], { encoding: 'utf8' })
  return uid.status === 0 ? { uid: Number(uid.stdout), gid: Number(gid.stdout) } : undefined
}
