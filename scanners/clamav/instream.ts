// Asks a clamd one question about itself: what it says of a few octets of ours.
import { openEngine } from '../engine-socket.ts'

const INSTREAM = Buffer.from('zINSTREAM\0')

/** Its reply, whole; undefined where there is none before `signal` aborts. */
export async function replyTo(
  address: string,
  content: Buffer,
  signal: AbortSignal,
): Promise<string | undefined> {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(content.length)
  const socket = await openEngine(address, signal)
  if (socket.destroyed) return undefined
  socket.write(Buffer.concat([INSTREAM, size, content, Buffer.alloc(4)]))
  await socket.ended
  return socket.reply.endsWith('\0') ? socket.reply : undefined
}
