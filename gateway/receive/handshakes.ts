// Counts, by client, the sockets whose PROXY header or TLS handshake is still to come, and gives each its time.
import type net from 'node:net'

/** For the PROXY header and the TLS handshake, which come before the session's own timeouts. */
const HANDSHAKE_MS = 30_000

export type Handshakes = {
  pending(address: string): number
  /** Counts one in until the returned function is called or it closes; `late` is called if neither comes in time. */
  begin(address: string, socket: net.Socket, late: () => void): () => void
}

export function createHandshakes(): Handshakes {
  const clients = new Map<string, number>()
  const pending = (address: string) => clients.get(address) ?? 0
  return {
    pending,
    begin(address, socket, late) {
      clients.set(address, pending(address) + 1)
      const deadline = setTimeout(late, HANDSHAKE_MS)
      let ended = false
      const end = () => {
        if (ended) return
        ended = true
        clearTimeout(deadline)
        const rest = pending(address) - 1
        if (rest > 0) clients.set(address, rest)
        else clients.delete(address)
      }
      socket.once('close', end)
      return end
    },
  }
}
