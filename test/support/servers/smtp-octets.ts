// Reads lines and dot-terminated content from a socket, octet by octet, for servers that keep all they get.
import type net from 'node:net'

export type Connection = {
  socket: net.Socket
  /** Writes a reply and CRLF; returns the reply. */
  write(reply: string): string
  /** The next line without CRLF, octets as latin1; undefined once the peer has ended. */
  readLine(): Promise<string | undefined>
  /** The content with its dots, without the final one; `enough` after `mostOctets`; undefined when cut off. */
  readContent(mostOctets: number): Promise<Buffer | 'enough' | undefined>
  /** Resolves once the peer has ended, or the connection is gone. */
  closed: Promise<void>
  /** Stops reading, so that somebody else can. */
  release(): void
}

export function openConnection(socket: net.Socket): Connection {
  const chunks: Buffer[] = []
  let ended = false
  let wake = () => {}
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    // A server that hangs must not buffer without end: the peer feels it as a full window.
    if (chunks.length >= 64) socket.pause()
    wake()
  }
  const onEnd = () => {
    ended = true
    wake()
  }
  const closed = new Promise<void>(resolve => {
    socket.once('end', resolve)
    socket.once('close', () => resolve())
  })
  socket.on('data', onData)
  socket.once('end', onEnd)
  socket.once('close', onEnd)

  const next = async (): Promise<Buffer | undefined> => {
    for (;;) {
      const chunk = chunks.shift()
      if (chunk) return chunk
      if (ended) return undefined
      socket.resume()
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }

  return {
    socket,
    closed,
    write(reply) {
      socket.write(`${reply}\r\n`, 'latin1')
      return reply
    },
    async readLine() {
      let line: Buffer = Buffer.alloc(0)
      for (;;) {
        const chunk = await next()
        if (!chunk) return undefined
        line = Buffer.concat([line, chunk])
        const end = line.indexOf('\r\n')
        if (end < 0) continue
        if (end + 2 < line.length) chunks.unshift(line.subarray(end + 2))
        return line.toString('latin1', 0, end)
      }
    },
    async readContent(mostOctets) {
      const parts: Buffer[] = []
      let octets = 0
      // As if a line had just ended, so that a lone dot in the first line counts.
      let tail: Buffer = Buffer.from('\r\n')
      for (;;) {
        const chunk = await next()
        if (!chunk) return undefined
        const seen = Buffer.concat([tail, chunk])
        const end = seen.indexOf('\r\n.\r\n')
        if (end >= 0) {
          const after = end + 5 - tail.length
          if (after < chunk.length) chunks.unshift(chunk.subarray(after))
          const all = Buffer.concat([...parts, chunk.subarray(0, after)])
          return all.subarray(0, all.length - 3)
        }
        parts.push(chunk)
        octets += chunk.length
        if (octets >= mostOctets) return 'enough'
        tail = seen.subarray(-4)
      }
    },
    release() {
      socket.off('data', onData)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
    },
  }
}

/** RFC 5321 §4.5.2: removes the first dot of each line that has one. */
export function dotUnstuffed(raw: Buffer): Buffer {
  const parts: Buffer[] = []
  let from = raw[0] === 0x2e ? 1 : 0
  for (;;) {
    const at = raw.indexOf('\r\n.', from)
    if (at < 0) break
    parts.push(raw.subarray(from, at + 2))
    from = at + 3
  }
  parts.push(raw.subarray(from))
  return Buffer.concat(parts)
}
