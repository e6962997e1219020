// A redis-server of our own for `redis: embedded`: on a unix socket below `state`, append-only, evicting nothing.
import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { Events } from '../observe/events.ts'
import { writeAnew } from '../spool/disk.ts'
import { accountOf } from './account.ts'
import { ask } from './ask.ts'
import { makeFolder, socketIn } from './folder.ts'
import { createWatchedProgram, type Timing } from './watched-program.ts'

/** Beyond it adding a job is refused, and the session answers 4xx. */
const MAX_MEMORY_BYTES = 512 * 1024 * 1024
const PING_TIMEOUT_MS = 2000

export type EmbeddedRedis = { /** `unix:/…/redis.sock` */ url: string } & AsyncDisposable

/**
 * `folder` is for this server alone; `user` is whom it runs as when we are root. Resolves when it answers PING.
 * Rejects where the program is missing or doesn't start. It is started again whenever it ends, at the same socket.
 * Redis is a to-do list, not the record: data that it can't read are set aside, with a warning, and it starts empty.
 */
export async function createEmbeddedRedis({
  folder: where,
  events,
  binary = 'redis-server',
  user,
  stop,
  timing = {},
}: {
  folder: string
  events: Events
  binary?: string
  user?: string | undefined
  /** Ends its start. */
  stop?: AbortSignal
  timing?: Partial<Timing>
}): Promise<EmbeddedRedis & { pid(): number }> {
  const folder = path.resolve(where)
  const account = await accountOf(user)
  await makeFolder(folder, account)
  const data = await makeFolder(path.join(folder, 'data'), account)
  const socket = socketIn(folder, 'redis.sock')
  const config = path.join(folder, 'redis.conf')
  await writeAnew(config, configuration(socket, data))
  const address = `unix:${socket}`
  const watched = await createWatchedProgram(
    {
      ...{ name: 'redis-server', command: binary, args: [config], packageName: 'redis-server' },
      ...{ folder, account, engine: 'redis', address, timing, stop },
      ready: async () => {
        const answer = await ask(socket, 'PING\r\n', { ends: '\r\n', timeoutMs: PING_TIMEOUT_MS })
        return answer === '+PONG\r\n'
      },
      async mend(output) {
        if (
          !/bad file format|unexpected end of file|reading the .*(append only|RDB|manifest)/i.test(
            output,
          )
        ) {
          return false
        }
        const aside = path.join(folder, 'data-unreadable')
        await rm(aside, { recursive: true, force: true })
        await rename(data, aside)
        await mkdir(data, { mode: 0o700 })
        await makeFolder(data, account)
        events.warned({
          name: 'redis-data-unreadable',
          text: `redis-server could not read its data; they were set aside in ${aside}, the sweep fills the queue again`,
        })
        return true
      },
    },
    events,
  )
  return { url: address, pid: watched.pid, [Symbol.asyncDispose]: watched[Symbol.asyncDispose] }
}

const configuration = (socket: string, data: string) => `# Written by sallyport at each start.
port 0
unixsocket "${socket}"
unixsocketperm 700
dir "${data}"
daemonize no
supervised no
logfile ""
loglevel notice
databases 1
save ""
appendonly yes
appendfsync everysec
maxmemory ${MAX_MEMORY_BYTES}
maxmemory-policy noeviction
`
