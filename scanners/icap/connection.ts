// One connection to an ICAP server: reads lines and octets within bounds, and can be used again.
import net from 'node:net'

/** It says what no ICAP server should. */
export class NotUnderstood extends Error {}
/** The connection is over before everything was said. */
export class Over extends Error {}

export type IcapService = { host: string; port: number; uri: string }

const DEFAULT_PORT = 1344

/** `icap://10.0.0.5:1344/avscan` (RFC 3507 §4.2); throws where it is something else. */
export function parseIcapUrl(text: string): IcapService {
  const match = /^icap:\/\/(\[[0-9A-Fa-f:.]+\]|[^:/?#@\s[\]]+)(?::(\d{1,5}))?\/[\x21-\x7e]*$/.exec(
    text,
  )
  const host = match?.[1]
  const port = Number(match?.[2] ?? DEFAULT_PORT)
  if (host === undefined || port < 1 || port > 65_535)
    throw new Error(`not an ICAP service: ${text} (write icap://host:1344/service)`)
  return { host: host.replace(/[[\]]/g, ''), port, uri: text }
}

export type IcapConnection = {
  socket: net.Socket
  /** A line without its CRLF; rejects with `NotUnderstood` beyond `limitBytes`, with `Over` at the end. */
  line(limitBytes: number): Promise<string>
  /** Hands on so many octets as they come. */
  octets(count: number, take: (chunk: Buffer) => void): Promise<void>
  /** Whether anything was heard since `expect`. */
  heard(): boolean
  /** Before each request; false where the server has closed, or said something nobody asked for. */
  expect(): boolean
  /** Why there is no connection. */
  fault(): string
}

/** A connection, already destroyed where there is none to be had before `signal` aborts. */
export async function openIcap(service: IcapService, signal: AbortSignal): Promise<IcapConnection> {
  const socket = net.connect({ host: service.host, port: service.port, noDelay: true })
  let fault = ''
  socket.on('error', (error: NodeJS.ErrnoException) => {
    fault ||= error.code ?? error.message
  })
  const cut = () => socket.destroy()
  signal.addEventListener('abort', cut)
  if (signal.aborted) cut()
  await new Promise<void>(resolve => {
    socket.once('connect', resolve)
    socket.once('close', () => resolve())
  })
  signal.removeEventListener('abort', cut)
  return readerOf(socket, () => fault || 'closed without a reply')
}

function readerOf(socket: net.Socket, fault: () => string): IcapConnection {
  const chunks = socket[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)
  let heard = false

  async function more(): Promise<Buffer> {
    const { value, done } = await chunks.next().catch(() => ({ value: undefined, done: true }))
    if (done) throw new Over(fault())
    heard = true
    return value as Buffer
  }

  return {
    socket,
    async line(limitBytes) {
      for (let from = 0; ; ) {
        const end = rest.indexOf('\n', from, 'latin1')
        if ((end < 0 ? rest.length : end) > limitBytes)
          throw new NotUnderstood('a line is too long')
        if (end >= 0) {
          const text = rest.toString('latin1', 0, end)
          rest = rest.subarray(end + 1)
          if (!text.endsWith('\r')) throw new NotUnderstood('a line ends without CR')
          return text.slice(0, -1)
        }
        from = rest.length
        rest = Buffer.concat([rest, await more()])
      }
    },
    async octets(count, take) {
      for (let left = count; left > 0; ) {
        if (rest.length === 0) rest = await more()
        const chunk = rest.subarray(0, left)
        rest = rest.subarray(chunk.length)
        left -= chunk.length
        take(chunk)
      }
    },
    heard: () => heard,
    expect() {
      heard = false
      const over = socket.destroyed || socket.readableEnded || !socket.writable
      return !over && rest.length === 0 && socket.readableLength === 0
    },
    fault,
  }
}
