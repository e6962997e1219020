// Feeds a message's content to nodemailer, never one octet less than all of it, and asks before the last ones go.
import type { Readable, Transform } from 'node:stream'
import { leaveAlone } from './transparency.ts'

/** What is sent: as much as it says, in pieces. */
export type Pieces = {
  /** Octets in all, dots of transparency not counted. */
  sizeBytes: number
  /**
   * May be called again. Rejects, or ends early, where the content can't be read as it should be. Pieces may change once
   * `sentBytes` says that nobody needs them any more: so many octets, from the first; without it, they never do.
   */
  pieces(sentBytes?: () => number): Buffer[] | AsyncIterable<Buffer>
}

/** What the transaction has to say while its content is sent. */
export type Gate = {
  /** Asked before the first octet; an answer is the reason not to send any. */
  refusal(): string | undefined
  /** Another piece is on its way: what came before has been taken. */
  progress(): void
  /** Asked when only the last piece and the final dot are left; false ends the transaction without them. */
  finish(): Promise<boolean>
  /** Octets that the connection still has to send. */
  unsentBytes(): number
  /** No more is sent, and no final dot. */
  failed(kind: 'lost' | 'content', detail: string): void
}

export type Feed = {
  /** For nodemailer's `send`, once. It is no stream, but has all of one that is asked for there. */
  message: Readable
  /** Sends no more. */
  stop(): void
}

export function createFeed(source: Pieces, gate: Gate): Feed {
  let stopped = false
  let goOn = () => {}
  const stop = () => {
    stopped = true
    goOn()
  }
  const drained = (to: Transform) =>
    new Promise<void>(resolve => {
      goOn = resolve
      to.once('drain', resolve)
    })

  /** The last piece waits until its successor is there: so it leaves together with the final dot. */
  const feed = async (to: Transform) => {
    let held: Buffer | undefined
    let octets = 0
    let handed = 0
    // Dots of transparency make it less than it is.
    const sentBytes = () => handed - to.writableLength - to.readableLength - gate.unsentBytes()
    for await (const piece of source.pieces(sentBytes)) {
      handed += held?.length ?? 0
      if (held !== undefined && !stopped && !to.write(held)) await drained(to)
      if (stopped) return
      octets += piece.length
      if (octets > source.sizeBytes) break
      gate.progress()
      held = piece
    }
    if (stopped) return
    if (octets !== source.sizeBytes)
      gate.failed('content', `content changed: expected ${source.sizeBytes} octets`)
    else if ((await gate.finish()) && !stopped) to.end(held)
  }

  const message = {
    on() {},
    removeListener() {},
    destroy: stop,
    pipe(to: Transform) {
      const refusal = gate.refusal()
      if (refusal !== undefined) return gate.failed('lost', refusal)
      leaveAlone(to)
      feed(to).catch((error: Error) => gate.failed('content', error.message))
    },
  }
  return { message: message as unknown as Readable, stop }
}
