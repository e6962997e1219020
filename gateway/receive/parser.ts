// Overrides how smtp-server (3.21.6) reads DATA: without copies, and with memory that is given back when it was used.
//
// Node.js reads each 64 KiB into memory of their own. Left to the garbage collector, that memory had it run after every
// eight megabytes received, which cost more than all else that is done to a large message.
import type { Readable } from 'node:stream'
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { Dots } from './dots.ts'

type Done = Parameters<SMTPStream['_feedDataStream']>[1]
type DataStream = ReturnType<SMTPStream['startDataMode']>

/** Less is left to the garbage collector. */
const LENT_BYTES = 8192

/** Content as it comes. Whoever is done with a piece says so; the garbage collector is there for those who don't. */
export type ContentStream = Readable & { free?(piece: Buffer): void }

export class Parser extends SMTPStream {
  #dots = new Dots()
  /** Memory that was read into, and that nobody uses but who was given the content in it. */
  readonly #lent = new WeakSet<ArrayBufferLike>()

  override startDataMode(maxBytes?: number | string | null): DataStream & ContentStream {
    this.#dots = new Dots()
    return Object.assign(super.startDataMode(maxBytes), {
      free: (piece: Buffer) => this.#free(piece),
    })
  }

  /** A line without its end is no command (RFC 5321 §2.3.8): the library would obey it when the client leaves. */
  override _flushData(): void {}

  override _feedDataStream(chunk: Buffer, done: Done): void {
    const stream = this._dataStream
    if (!stream) throw new Error('unreachable: there is one in DATA')
    const { content, rest } = this.#dots.take(chunk)
    // Only where nobody else's octets are in it: Node.js cuts small buffers out of larger ones.
    if (chunk.length === chunk.buffer.byteLength && chunk.length >= LENT_BYTES)
      this.#lent.add(chunk.buffer)
    this._countDataBytes(content.length)
    if (rest) this._endDataMode(content, Buffer.from(rest), done)
    else if (content.length === 0 || !stream.writable || stream.write(content)) done()
    else proceed(stream, done)
  }

  #free(piece: Buffer): void {
    const { buffer } = piece
    if (buffer instanceof ArrayBuffer && this.#lent.delete(buffer)) buffer.transfer(0)
  }
}

/** Goes on when there is room again; a stream that was destroyed never has room, it only closes. */
function proceed(stream: DataStream, done: Done): void {
  if (stream.destroyed) {
    done()
    return
  }
  const go = () => {
    stream.off('drain', go)
    stream.off('close', go)
    done()
  }
  stream.once('drain', go)
  stream.once('close', go)
}
