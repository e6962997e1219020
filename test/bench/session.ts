// One connection of the load: says a line or a message, and hears the reply; nothing that costs more.
import net from 'node:net'
import { now } from './clock.ts'

export type Reply = { code: number; text: string }

/** Everything rejects once the connection is broken, or nothing is heard for a minute. */
export type Session = {
  greeting(): Promise<Reply>
  say(line: string): Promise<Reply>
  /** Sends a message and the dot; `dotAt` is when the last octet was handed to the system. */
  content(pieces: readonly Buffer[]): Promise<{ dotAt: number; reply: Reply }>
  close(): void
}

const SILENCE_MS = 60_000
const REPLY_BYTES = 4096
const DOT = Buffer.from('.\r\n')
/** The last line of a reply. */
const LAST_LINE = /^(\d{3})(?: .*)?\r?\n$/m

export function createSession(port: number): Session {
  let heard = ''
  let broken: Error | undefined
  let waiting: { resolve(reply: Reply): void; reject(error: Error): void } | undefined
  const look = () => {
    const last = heard.endsWith('\n') && LAST_LINE.exec(heard)
    if (!last || !waiting) return
    const { resolve } = waiting
    const reply = { code: Number(last[1]), text: heard.trim() }
    heard = ''
    waiting = undefined
    resolve(reply)
  }
  const socket = net.connect({
    ...{ port, host: '127.0.0.1', noDelay: true },
    onread: {
      buffer: Buffer.allocUnsafe(REPLY_BYTES),
      callback(length, buffer) {
        heard += Buffer.from(buffer.buffer, buffer.byteOffset, length).toString('latin1')
        look()
        return true
      },
    },
  })
  const end = (error: Error) => {
    broken ??= error
    waiting?.reject(broken)
    waiting = undefined
  }
  socket.on('error', end)
  socket.on('close', () => end(new Error('the connection was closed')))
  socket.setTimeout(SILENCE_MS, () => socket.destroy(new Error('nothing was heard for a minute')))
  const reply = () =>
    new Promise<Reply>((resolve, reject) => {
      if (broken) return reject(broken)
      waiting = { resolve, reject }
      look()
    })
  return {
    greeting: reply,
    say(line) {
      socket.write(line, 'latin1')
      return reply()
    },
    async content(pieces) {
      let dotAt = now()
      const done = () => {
        dotAt = now()
      }
      const [only] = pieces
      if (only && pieces.length === 1) socket.write(Buffer.concat([only, DOT]), done)
      else {
        socket.cork()
        for (const piece of pieces) socket.write(piece)
        socket.write(DOT, done)
        socket.uncork()
      }
      return { reply: await reply(), dotAt }
    },
    close: () => void socket.destroy(),
  }
}
