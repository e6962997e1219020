// Finds out whether a client got the reply to its final dot: it speaks again, or it ends in order.
import type net from 'node:net'

export type HeardWatch = {
  /** The reply was just written to this socket. `answered` is called once. */
  watch(socket: net.Socket, answered: (heard: boolean) => void): void
  /** The connection is closed: who has not been heard of by now has not heard. */
  over(): void
}

export function createHeardWatch(): HeardWatch {
  let waiting: ((heard: boolean) => void)[] = []
  let watched: net.Socket | undefined
  const tell = (heard: boolean) => {
    const told = waiting
    waiting = []
    for (const answered of told) answered(heard)
  }
  return {
    watch(socket, answered) {
      waiting.push(answered)
      if (watched === socket) return
      watched = socket
      // Only what comes after the reply counts: commands sent along with the dot prove nothing.
      const onLife = () => {
        if (socket.writableLength === 0) tell(true)
      }
      socket.on('data', onLife)
      socket.once('end', onLife)
    },
    over: () => tell(false),
  }
}
