// The internal mail server of a run: writes down what arrives, and is slow, unwilling or gone as it is told.
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/process.ts'
import { type Connection, dotUnstuffed, openConnection } from '../support/servers/smtp-octets.ts'
import { isRefused, recognise } from './mail.ts'
import type { Random } from './random.ts'
import type { Arrival, Record } from './record.ts'

/** `hanging-up`: some transactions lose their connection before, at, or right after the final dot. */
export type Mood = 'well' | 'slow' | 'tempfailing' | 'refusing' | 'hanging-up'

export type Inbox = {
  url: string
  feel(mood: Mood): void
  /** Closes the port and all connections. */
  down(): Promise<void>
  up(): Promise<void>
} & AsyncDisposable

const LONGEST_DELAY_MS = 7000
/** A 250 said longer ago than this has been read. */
const SOON_MS = 2000

type State = { mood: Mood; random: Random; record: Record }

export async function startInbox(record: Record, random: Random): Promise<Inbox> {
  const port = await freePort()
  const state: State = { mood: 'well', random, record }
  const sockets = new Set<net.Socket>()
  let server: net.Server | undefined
  const up = async () => {
    if (server) return
    const listener = net.createServer({ allowHalfOpen: true }, socket => {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.once('close', () => sockets.delete(socket))
      void converse(state, openConnection(socket)).finally(() => socket.destroy())
    })
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject)
      listener.listen(port, '127.0.0.1', resolve)
    })
    server = listener
  }
  const down = async () => {
    const listener = server
    if (!listener) return
    server = undefined
    const closed = new Promise<void>(resolve => listener.close(() => resolve()))
    for (const socket of sockets) socket.resetAndDestroy()
    await closed
  }
  await up()
  return {
    url: `smtp://127.0.0.1:${port}`,
    feel: mood => {
      state.mood = mood
    },
    up,
    down,
    [Symbol.asyncDispose]: down,
  }
}

/** The reply to a command, or to the final dot, in this mood; undefined for the usual one. */
function unwilling({ mood, random }: State, where: 'MAIL' | 'RCPT' | 'dot'): string | undefined {
  if (mood === 'tempfailing' && random.chance(0.25))
    return `45${random.between(0, 2)} 4.3.0 Not now`
  if (mood === 'refusing' && where !== 'MAIL' && random.chance(0.1)) return '550 5.7.1 Not wanted'
  return undefined
}

async function converse(state: State, c: Connection): Promise<void> {
  let recipients: string[] | undefined
  let last: Arrival | undefined
  c.write('220 inbox.test ready')
  for (;;) {
    const line = await c.readLine()
    if (line === undefined) {
      if (!last) return
      const soon = Date.now() - last.at < SOON_MS
      if (soon && last.heardAt === undefined) last.hungUp ||= c.socket.destroyed
      return
    }
    if (last) last.heardAt ??= Date.now()
    const verb = line.slice(0, 4).toUpperCase()
    if (verb === 'EHLO') c.write('250-inbox.test\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME')
    else if (verb === 'MAIL') {
      const no = unwilling(state, 'MAIL')
      recipients = no === undefined ? [] : undefined
      c.write(no ?? '250 2.1.0 Ok')
    } else if (verb === 'RCPT') {
      const address = line.slice(line.indexOf('<') + 1, line.lastIndexOf('>'))
      const no = isRefused(address) ? '550 5.1.1 Nobody here' : unwilling(state, 'RCPT')
      if (recipients && no === undefined) recipients.push(address)
      c.write(recipients ? (no ?? '250 2.1.5 Ok') : '503 5.5.1 MAIL first')
    } else if (verb === 'DATA' && recipients?.length) {
      last = await take(state, c, recipients)
      recipients = undefined
      if (last?.hungUp) return
    } else if (verb === 'DATA') c.write('554 5.5.1 No recipients')
    else if (verb === 'QUIT') {
      c.write('221 2.0.0 Bye')
      await new Promise<void>(resolve => c.socket.end(resolve))
      return
    } else {
      recipients = undefined
      c.write('250 2.0.0 Ok')
    }
  }
}

/** One message; undefined where it was not taken. The connection is over where the arrival says `hungUp`. */
async function take(state: State, c: Connection, to: string[]): Promise<Arrival | undefined> {
  const { random, record } = state
  const hangsUp = state.mood === 'hanging-up' && random.chance(0.3) ? random.between(1, 3) : 0
  c.write('354 Go ahead')
  const raw = await c.readContent(hangsUp === 1 ? 500 : Number.POSITIVE_INFINITY)
  if (!Buffer.isBuffer(raw) || hangsUp === 2) {
    c.socket.resetAndDestroy()
    return undefined
  }
  const no = unwilling(state, 'dot')
  if (no !== undefined) {
    c.write(no)
    return undefined
  }
  const found = recognise(dotUnstuffed(raw))
  if (!found) record.strange++
  const arrival: Arrival = {
    number: found?.number ?? -1,
    sha256: found?.sha256 ?? '',
    recipients: to,
    at: Date.now(),
    heardAt: undefined,
    hungUp: hangsUp === 3,
  }
  record.arrivals.push(arrival)
  if (state.mood === 'slow')
    await Promise.race([sleep(random.between(0, LONGEST_DELAY_MS)), c.closed])
  if (arrival.hungUp || c.socket.destroyed || c.socket.readableEnded) {
    arrival.hungUp = true
    c.socket.resetAndDestroy()
  } else {
    c.write('250 2.0.0 Kept')
    arrival.at = Date.now()
  }
  return arrival
}
