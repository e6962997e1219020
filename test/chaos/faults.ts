// What goes wrong in a run: each fault does its harm and mends it again, by itself.
import { chmod, open, rm } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterStream } from '../support/servers/lying-engine.ts'
import type { Mood } from './inbox.ts'
import type { Random } from './random.ts'
import type { Record } from './record.ts'
import { passOn, type Stage } from './stage.ts'

type Doing = { stage: Stage; random: Random; record: Record }
export type Fault = {
  /** Faults of the same thing come one after the other. */
  of: 'gateway' | 'redis' | 'clamd' | 'door' | 'inbox' | 'spool'
  /** Answers a word for the record, where there is one to say. */
  run(doing: Doing): Promise<string | undefined>
}

const LONGEST_MS = 4000
/** Outcomes that could not be written are tried again each second. */
const STILL_WRITING_MS = 3000
const lasts = ({ random }: Doing, longestMs = LONGEST_MS) => sleep(random.between(100, longestMs))

/** Killed or stopped in this span, a process may not have written down what it heard shortly before. */
async function disturbing<T>({ record }: Doing, harm: () => Promise<T>): Promise<T> {
  const outage = record.outages.at(-1)
  const from = outage === undefined || outage.to < Date.now() ? Date.now() : outage.from
  const span = { from, to: Number.POSITIVE_INFINITY }
  record.disturbances.push(span)
  try {
    return await harm()
  } finally {
    span.to = Date.now()
  }
}

/** While nothing can be written, outcomes wait in memory: for a while after, a kill takes more with it than usual. */
async function unwritable({ record }: Doing, harm: () => Promise<void>): Promise<void> {
  const span = { from: Date.now(), to: Number.POSITIVE_INFINITY }
  record.outages.push(span)
  await harm()
  span.to = Date.now() + STILL_WRITING_MS
}

/** One command to Redis, without waiting longer than it lives. */
function tellRedis({ stage }: Doing, command: string): Promise<string> {
  return new Promise(resolve => {
    const { connection } = stage.redis
    const socket = 'port' in connection ? net.connect(connection.port, connection.host) : undefined
    let said = ''
    socket?.setTimeout(2000, () => socket.destroy())
    socket?.on('error', () => {})
    socket?.once('close', () => resolve(said))
    socket?.on('data', chunk => {
      said += String(chunk)
      socket.end()
    })
    socket?.write(`${command}\r\n`)
  })
}

const gateway: { [name: string]: Fault } = {
  'worker-kill': {
    of: 'gateway',
    run: doing =>
      disturbing(doing, async () => {
        const workers = doing.stage.gateway.workers()
        if (workers.length === 0) return 'there was none'
        process.kill(doing.random.pick(workers), 'SIGKILL')
        return undefined
      }),
  },
  'gateway-kill': {
    of: 'gateway',
    async run(doing) {
      await disturbing(doing, () => doing.stage.gateway.kill())
      await lasts(doing, 1500)
      await doing.stage.gateway.start()
      return undefined
    },
  },
  restart: {
    of: 'gateway',
    async run(doing) {
      const { stage, random, record } = doing
      const startedAt = Date.now()
      const code = await disturbing(doing, () => stage.gateway.stop())
      const tookMs = Date.now() - startedAt
      if (code !== 0) record.violations.push(`SIGTERM: exit ${code ?? 'never'} after ${tookMs} ms`)
      await stage.gateway.start({ hold: { seconds: random.between(2, 8) } })
      return `${tookMs} ms`
    },
  },
  'broken-reload': {
    of: 'gateway',
    async run({ stage }) {
      await stage.gateway.reload('hostname: [\nno: configuration\n')
      return undefined
    },
  },
}

const redis: { [name: string]: Fault } = {
  'redis-kill': {
    of: 'redis',
    async run(doing) {
      await doing.stage.redis.kill()
      await lasts(doing)
      await doing.stage.redis.restart()
      return undefined
    },
  },
  'redis-empty': {
    of: 'redis',
    async run(doing) {
      await doing.stage.redis.kill()
      await lasts(doing)
      await doing.stage.redis.restart({ empty: true })
      return undefined
    },
  },
  'redis-flush': {
    of: 'redis',
    async run(doing) {
      return (await tellRedis(doing, 'FLUSHALL')).trim()
    },
  },
  'redis-freeze': {
    of: 'redis',
    async run(doing) {
      doing.stage.redis.freeze()
      await lasts(doing)
      doing.stage.redis.thaw()
      return undefined
    },
  },
  'redis-memory': {
    of: 'redis',
    async run(doing) {
      const said = await tellRedis(doing, 'CONFIG SET maxmemory 1')
      await lasts(doing)
      await tellRedis(doing, 'CONFIG SET maxmemory 0')
      return said.trim()
    },
  },
}

const clamd: { [name: string]: Fault } = {
  'clamd-kill': {
    of: 'clamd',
    async run(doing) {
      await doing.stage.clamd.kill()
      await lasts(doing)
      await doing.stage.clamd.restart()
      return undefined
    },
  },
  'clamd-freeze': {
    of: 'clamd',
    async run(doing) {
      doing.stage.clamd.signal('SIGSTOP')
      await lasts(doing)
      doing.stage.clamd.signal('SIGCONT')
      return undefined
    },
  },
  'clamd-reload': {
    of: 'clamd',
    async run({ stage }) {
      const socket = net.connect(stage.clamd.socket)
      socket.on('error', () => {})
      socket.end('zRELOAD\0')
      await sleep(500)
      return undefined
    },
  },
}

const lying = (behave: (socket: net.Socket) => void): Fault => ({
  of: 'door',
  async run(doing) {
    doing.stage.door.behave(behave)
    await lasts(doing)
    doing.stage.door.behave(passOn(doing.stage.clamd.socket))
    return undefined
  },
})
const door: { [name: string]: Fault } = {
  'engine-silent': lying(socket => void socket.resume()),
  'engine-garbage': lying(afterStream('stream: as good as new\0')),
  'engine-hang-up': lying(socket => {
    socket.once('data', () => socket.destroy())
  }),
}

const feeling = (mood: Mood): Fault => ({
  of: 'inbox',
  async run(doing) {
    doing.stage.inbox.feel(mood)
    await lasts(doing, 8000)
    doing.stage.inbox.feel('well')
    return undefined
  },
})
const inbox: { [name: string]: Fault } = {
  'inbox-down': {
    of: 'inbox',
    async run(doing) {
      await doing.stage.inbox.down()
      await lasts(doing, 8000)
      await doing.stage.inbox.up()
      return undefined
    },
  },
  'inbox-slow': feeling('slow'),
  'inbox-tempfail': feeling('tempfailing'),
  'inbox-refuse': feeling('refusing'),
  'inbox-hang-up': feeling('hanging-up'),
}

const spool: { [name: string]: Fault } = {
  'spool-full': {
    of: 'spool',
    async run(doing) {
      if (!doing.stage.mounted) return 'not possible without a file system of its own'
      const filler = path.join(doing.stage.spool, 'filler')
      await unwritable(doing, async () => {
        await fill(filler)
        await lasts(doing)
        await rm(filler)
      })
      return undefined
    },
  },
  'spool-read-only': {
    of: 'spool',
    async run(doing) {
      const folders = ['incoming', 'queued', 'unanswered']
      const change = async (mode: number) => {
        for (const name of folders) await chmod(path.join(doing.stage.spool, name), mode)
      }
      await unwritable(doing, async () => {
        await change(0o550)
        await lasts(doing)
        await change(0o750)
      })
      return undefined
    },
  },
}

/** To the last octet. */
async function fill(place: string): Promise<void> {
  const file = await open(place, 'w')
  try {
    for (let size = 1 << 20; size >= 512; ) {
      try {
        const { bytesWritten } = await file.write(Buffer.alloc(size))
        if (bytesWritten < size) size >>= 1
      } catch {
        size >>= 1
      }
    }
  } finally {
    await file.close()
  }
}

export const FAULTS: { readonly [name: string]: Fault } = {
  ...gateway,
  ...redis,
  ...clamd,
  ...door,
  ...inbox,
  ...spool,
}

/** Starts a fault at random moments until it has had enough, several at once; resolves when all are mended. */
export async function misbehave(
  doing: Doing,
  names: readonly string[],
  longestPauseMs: number,
  enough: AbortSignal,
): Promise<void> {
  const busy = new Set<string>()
  const running = new Set<Promise<void>>()
  while (!enough.aborted) {
    const pauseMs = doing.random.between(100, longestPauseMs)
    await sleep(pauseMs, undefined, { signal: enough }).catch(() => {})
    if (names.length === 0) continue
    const name = doing.random.pick(names)
    const fault = FAULTS[name]
    if (enough.aborted || !fault || busy.has(fault.of)) continue
    busy.add(fault.of)
    const noted = { at: Date.now(), name }
    doing.record.faults.push(noted)
    const done = fault
      .run(doing)
      .then(text => void Object.assign(noted, text === undefined ? {} : { text }))
      .catch((error: Error) =>
        doing.record.violations.push(`${name} itself failed: ${error.message}`),
      )
      .then(() => {
        busy.delete(fault.of)
        running.delete(done)
      })
    running.add(done)
  }
  await Promise.all(running)
}
