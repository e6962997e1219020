// A scanning engine on a real socket that hangs, hangs up, or says what no engine should.
import net from 'node:net'
import { freePort } from '../process.ts'

export type LyingEngine = {
  /** `tcp:127.0.0.1:…`. */
  address: string
  port: number
  /** Connections so far. */
  connections(): number
  /** Those still open. */
  open(): number
  /** What to do with the next connections. */
  behave(behaviour: Behaviour): void
} & AsyncDisposable

/** Sees each connection from its start; the octets arrive as usual, `socket.resume()` to ignore them. */
export type Behaviour = (socket: net.Socket) => void

export async function startLyingEngine(first: Behaviour): Promise<LyingEngine> {
  const port = await freePort()
  const sockets = new Set<net.Socket>()
  let behaviour = first
  let connections = 0
  const server = net.createServer(socket => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    behaviour(socket)
  })
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  return {
    address: `tcp:127.0.0.1:${port}`,
    port,
    connections: () => connections,
    open: () => {
      // One that never reads notices the end of its connection only when it does.
      for (const socket of sockets) if (!socket.isPaused()) socket.resume()
      return sockets.size
    },
    behave(next) {
      behaviour = next
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** Says `words` once the whole INSTREAM has arrived, then closes. */
export const afterStream = (words: string | Buffer): Behaviour =>
  onceStreamed(socket => socket.end(words))

/** Answers in its own way once the whole INSTREAM has arrived. */
export const onceStreamed =
  (answer: (socket: net.Socket) => void): Behaviour =>
  socket => {
    let tail = Buffer.alloc(0)
    socket.on('data', chunk => {
      tail = Buffer.concat([tail, chunk]).subarray(-4)
      if (tail.equals(Buffer.alloc(4))) answer(socket)
    })
  }
