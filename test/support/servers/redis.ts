// A private redis-server for tests: append-only in a temporary folder, to be stopped, killed, frozen, and started again.
import { mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { freePort, listening, type Running, start, temporaryFolder, until } from '../process.ts'

export type TestRedis = {
  /** `redis://127.0.0.1:PORT`, or `unix:/…/redis.sock`. */
  url: string
  /** What ioredis takes: `{ port, host }` or `{ path }`. */
  connection: { host: string; port: number } | { path: string }
  folder: string
  pid(): number
  output(): string
  /** SIGTERM; the data stays on disk. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGSTOP: it accepts connections and never answers. */
  freeze(): void
  /** SIGCONT. */
  thaw(): void
  /** Starts it again at the same place, with its data or `empty`. Ends it first if it still runs. */
  restart(options?: { empty?: boolean }): Promise<void>
} & AsyncDisposable

/** Starts a redis-server; rejects with its output if it does not listen within 15 s. */
export async function startRedis(
  options: { unix?: boolean; args?: string[] } = {},
): Promise<TestRedis> {
  const folder = await temporaryFolder('redis')
  const data = path.join(folder.path, 'data')
  const socket = path.join(folder.path, 'redis.sock')
  const port = options.unix ? 0 : await freePort()
  const place = options.unix ? socket : port
  const args = [
    ...['--bind', '127.0.0.1', '--port', String(port), '--dir', data, '--save', ''],
    ...(options.unix ? ['--unixsocket', socket, '--unixsocketperm', '777'] : []),
    ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'],
    ...['--daemonize', 'no', ...(options.args ?? [])],
  ]
  let running: Running
  const launch = async () => {
    await mkdir(data, { recursive: true })
    running = await start('redis-server', args)
    const server = running
    let code: number | undefined
    void server.ended.then(ended => {
      code = ended
    })
    await until('redis-server to listen', () => {
      if (code !== undefined) throw new Error(`redis-server ended with ${code}: ${server.output()}`)
      return listening(place)
    })
  }
  await launch()
  return {
    url: options.unix ? `unix:${socket}` : `redis://127.0.0.1:${port}`,
    connection: options.unix ? { path: socket } : { host: '127.0.0.1', port },
    folder: folder.path,
    pid: () => running.pid,
    output: () => running.output(),
    stop: () => running.stop(),
    kill: () => running.kill(),
    freeze: () => running.signal('SIGSTOP'),
    thaw: () => running.signal('SIGCONT'),
    async restart({ empty = false } = {}) {
      await running.kill()
      if (empty) await rm(data, { recursive: true, force: true })
      await launch()
    },
    async [Symbol.asyncDispose]() {
      await running.kill()
      await folder[Symbol.asyncDispose]()
    },
  }
}
