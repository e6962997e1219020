// Thousands that say nothing and hundreds that say it slowly: whether anybody else still gets their mail through.
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Sent, sendMail } from '../support/client.ts'
import type { Stage } from './stage.ts'

/** So many connections are opened at once: a listen queue has its length. */
const AT_ONCE = 100
const GREETING_MS = 30_000
/** Between two octets of a slow one. */
const SLOW_MS = 1000
const SLOW_TEXT = [
  'EHLO slow.test\r\n',
  'MAIL FROM:<slow@sender.test>\r\nRCPT TO:<user2@example.org>\r\nDATA\r\n',
]

export type Crowd = {
  idle: number
  slow: number
  /** To each of the messages of a normal client among them. */
  sent: (Sent | undefined)[]
  sentMs: number[]
  memoryBytes: number
}

/** Connects and waits for the greeting; undefined where there is none. */
function enter(port: number): Promise<net.Socket | undefined> {
  return new Promise(resolve => {
    const socket = net.connect({ port, host: '127.0.0.1' })
    const end = (found: net.Socket | undefined) => {
      clearTimeout(timer)
      if (!found) socket.destroy()
      resolve(found)
    }
    const timer = setTimeout(end, GREETING_MS, undefined)
    socket.on('error', () => end(undefined))
    socket.once('data', chunk => end(String(chunk).startsWith('220') ? socket : undefined))
    socket.once('close', () => end(undefined))
  })
}

/** Half of them dribble a command, half content. */
async function dribble(socket: net.Socket, inData: boolean, over: AbortSignal): Promise<void> {
  if (inData) for (const text of SLOW_TEXT) socket.write(text)
  while (!over.aborted && !socket.destroyed) {
    socket.write('N')
    await sleep(SLOW_MS)
  }
}

export async function crowd(
  stage: Stage,
  wanted: { idle: number; slow: number; messages: number },
): Promise<Crowd> {
  const [port = 0] = stage.ports
  const sockets: net.Socket[] = []
  for (let left = wanted.idle + wanted.slow; left > 0; left -= AT_ONCE) {
    const some = Array.from({ length: Math.min(left, AT_ONCE) }, () => enter(port))
    for (const socket of await Promise.all(some)) if (socket) sockets.push(socket)
  }
  const over = new AbortController()
  const slow = sockets.slice(0, wanted.slow)
  const dribbling = slow.map((socket, i) => dribble(socket, i % 2 === 0, over.signal))
  await sleep(2 * SLOW_MS)
  const sent: Crowd['sent'] = []
  const sentMs: number[] = []
  for (let i = 0; i < wanted.messages; i++) {
    const content = Buffer.from(`X-Chaos: ${2_000_000 + i}\r\nSubject: through\r\n\r\nthrough\r\n`)
    const startedAt = performance.now()
    const mail = { port, from: 'bob@sender.test', to: ['user3@example.org'], content }
    sent.push(await sendMail(mail).catch(() => undefined))
    sentMs.push(performance.now() - startedAt)
  }
  const memoryBytes = stage.gateways[0]?.memoryBytes() ?? 0
  over.abort()
  await Promise.all(dribbling)
  for (const socket of sockets) socket.resetAndDestroy()
  return { idle: sockets.length - slow.length, slow: slow.length, sent, sentMs, memoryBytes }
}
