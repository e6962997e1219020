// What is done to the servers around the gateway: Redis, clamd, rspamd, slapd and the internal mail server.
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterStream } from '../support/servers/lying-engine.ts'
import { type Doing, type Fault, type Faults, lasts } from './fault.ts'
import type { Mood } from './inbox.ts'
import { passOn, type Stage } from './stage.ts'

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

const redis: Faults = {
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

type Server = {
  signal(name: NodeJS.Signals): void
  kill(): Promise<void>
  restart(): Promise<void>
}

/** Killed, and started again a while later. */
const killed = (of: Fault['of'], server: (stage: Stage) => Server | undefined): Fault => ({
  of,
  async run(doing) {
    const one = server(doing.stage)
    if (!one) return 'there is none'
    await one.kill()
    await lasts(doing)
    await one.restart()
    return undefined
  },
})
/** Stopped and continued: it accepts, and answers late. */
const frozen = (of: Fault['of'], server: (stage: Stage) => Server | undefined): Fault => ({
  of,
  async run(doing) {
    const one = server(doing.stage)
    if (!one) return 'there is none'
    one.signal('SIGSTOP')
    await lasts(doing)
    one.signal('SIGCONT')
    return undefined
  },
})
const restarted = (of: Fault['of'], server: (stage: Stage) => Server | undefined): Fault => ({
  of,
  async run({ stage }) {
    await server(stage)?.restart()
    return undefined
  },
})

const engines: Faults = {
  'clamd-kill': killed('clamd', stage => stage.clamd),
  'clamd-freeze': frozen('clamd', stage => stage.clamd),
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
  'rspamd-kill': killed('rspamd', stage => stage.rspamd),
  'rspamd-freeze': frozen('rspamd', stage => stage.rspamd),
  'rspamd-restart': restarted('rspamd', stage => stage.rspamd),
  'slapd-kill': killed('slapd', stage => stage.slapd),
  'slapd-freeze': frozen('slapd', stage => stage.slapd),
  'slapd-restart': restarted('slapd', stage => stage.slapd),
}

const lying = (behave: (socket: net.Socket, doing: Doing) => void): Fault => ({
  of: 'door',
  async run(doing) {
    doing.stage.door.behave(socket => behave(socket, doing))
    await lasts(doing)
    doing.stage.door.behave(passOn(doing.stage.clamd.socket))
    return undefined
  },
})

/** Half of the replies come after the scanner's deadline. */
const LATEST_MS = 6000
function late(client: net.Socket, { stage, random }: Doing): void {
  const delayMs = random.between(0, LATEST_MS)
  const engine = net.connect(stage.clamd.socket)
  engine.on('error', () => client.destroy())
  client.once('close', () => engine.destroy())
  client.pipe(engine)
  engine.on('data', reply => {
    setTimeout(() => {
      if (client.writable) client.write(reply)
    }, delayMs)
  })
}

const door: Faults = {
  'engine-silent': lying(socket => void socket.resume()),
  'engine-late': lying(late),
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
const inbox: Faults = {
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

export const serverFaults: Faults = { ...redis, ...engines, ...door, ...inbox }
