// Reads a message's content from the spool in pieces, no faster than the engine takes them.
import { open } from 'node:fs/promises'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { Content } from '../gateway/message.ts'
import type { EngineSocket } from './engine-socket.ts'

const PIECE_BYTES = 65_536
/** How long the rest of a reply that came too early is waited for. */
const EARLY_REPLY_MS = 1_000

/** The engine replied, or went, before it had everything: what it said is in the socket. */
export class CutShort extends Error {}

/**
 * The content in pieces; between two of them the socket's reply, if any, has been read and its buffer emptied.
 * Ends only when all of it was sent: half a message must never count as scanned. So it throws `CutShort` where the
 * engine replies before its time, and another error where the content can't be read or isn't as long as it should be.
 */
export async function* pieces(content: Content, socket: EngineSocket): AsyncGenerator<Buffer> {
  const file = await open(content.path)
  try {
    let sent = 0
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES)
      if (bytesRead === 0) break
      // A turn of the loop lets an engine's "too long, I'm closing" be read before we write into a closed socket.
      await turn()
      await socket.drained()
      await expectSilence(socket)
      sent += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
    if (sent !== content.sizeBytes)
      throw new Error(`it has ${sent} octets instead of ${content.sizeBytes}`)
    await expectSilence(socket)
  } finally {
    await file.close()
  }
}

async function expectSilence(socket: EngineSocket): Promise<void> {
  if (!socket.destroyed && !socket.readableEnded && socket.bytesRead === 0) return
  await Promise.race([socket.ended, sleep(EARLY_REPLY_MS, undefined, { ref: false })])
  throw new CutShort('the engine did not take everything')
}
