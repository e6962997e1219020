// Streams DATA to `incoming/<id>.eml`: never whole in memory, never longer than its deadline, gone again if refused.
import type { FileHandle } from 'node:fs/promises'
import { type Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { reply } from '../reply.ts'
import type { IncomingStore } from './answer.ts'
import type { Refusal } from './command.ts'
import { ContentCheck, ContentFilter, type ContentLimits, DrainExceeded } from './data.ts'

export type Pace = {
  /** The whole of DATA. */
  deadlineMs: number
  /** Octets per second over each window; 0 for any. */
  minRate: number
  windowMs: number
}

export type Received =
  | { kind: 'received'; sizeBytes: number; sha256: string; eightBit: boolean }
  /** `hangUp`: the client did not get to its final dot, and is not waited for. */
  | { kind: 'refused'; refusal: Refusal; hangUp: boolean }
  /** The connection ended before the final dot. */
  | { kind: 'lost' }

const refused = (reason: string, code: number, enhanced: string, text: string): Refusal => ({
  reason,
  reply: reply(code, enhanced, text),
})
const TOO_LONG = refused('deadline', 421, '4.4.2', 'The message took too long')
const TOO_SLOW = refused('rate', 421, '4.4.2', 'The message came too slowly')
const NO_ROOM = ['ENOSPC', 'EDQUOT', 'EFBIG']

/** At least this much is drained after a refusal, so that small limits still get their reply through. */
const DRAIN_BYTES = 1024 * 1024
const WRITE_BUFFER_BYTES = 128 * 1024

const diskRefusal = (error: unknown): Refusal => ({
  ...(NO_ROOM.includes(String((error as NodeJS.ErrnoException)?.code))
    ? refused('disk-full', 452, '4.3.1', 'Insufficient storage, try again later')
    : refused('disk', 451, '4.3.0', 'Local error, try again later')),
  detail: String(error),
})

/** Without putting the pieces together first: with many large messages at once those copies were most of our memory. */
async function writeAll(file: FileHandle, pieces: Buffer[]): Promise<void> {
  let left = pieces
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left)
    const next = left.findIndex(piece => {
      if (bytesWritten < piece.length) return true
      bytesWritten -= piece.length
      return false
    })
    left = next < 0 ? [] : [left[next]?.subarray(bytesWritten) ?? [], left.slice(next + 1)].flat()
  }
}

/** Writes to the file until something is refused; a failing disk refuses too, and the client still gets to its dot. */
class ContentSink extends Writable {
  readonly #file: FileHandle | undefined
  readonly #check: ContentCheck

  constructor(file: FileHandle | undefined, check: ContentCheck) {
    super({ highWaterMark: WRITE_BUFFER_BYTES, decodeStrings: true })
    this.#file = file
    this.#check = check
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#keep(chunks.map(one => one.chunk)).then(done, done)
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#keep([chunk]).then(done, done)
  }

  async #keep(octets: Buffer[]): Promise<null> {
    if (!this.#file || this.#check.refusal) return null
    try {
      await writeAll(this.#file, octets)
    } catch (error) {
      this.#check.refusal ??= diskRefusal(error)
    }
    return null
  }
}

/** Aborts when the pace is not kept. While the disk is behind, the client is not to blame. */
function watchPace(
  filter: ContentFilter,
  sink: Writable,
  pace: Pace,
  abort: (why: Refusal) => void,
) {
  let octets = 0
  let diskBehind = false
  const deadline = setTimeout(() => abort(TOO_LONG), pace.deadlineMs)
  const rate = setInterval(() => {
    const came = filter.octets - octets
    octets += came
    const behind = diskBehind || sink.writableNeedDrain
    diskBehind = sink.writableNeedDrain
    if (!behind && came < (pace.minRate * pace.windowMs) / 1000) abort(TOO_SLOW)
  }, pace.windowMs)
  return () => {
    clearTimeout(deadline)
    clearInterval(rate)
  }
}

async function stream(
  source: Readable,
  check: ContentCheck,
  file: FileHandle | undefined,
  options: { pace: Pace; sizeBytes: number },
): Promise<'ended' | 'lost' | Refusal> {
  const stop = new AbortController()
  const sink = new ContentSink(file, check)
  const filter = new ContentFilter(check, Math.max(DRAIN_BYTES, options.sizeBytes))
  const calm = watchPace(filter, sink, options.pace, why => stop.abort(why))
  try {
    await pipeline(source, filter, sink, { signal: stop.signal })
    return 'ended'
  } catch (error) {
    if (stop.signal.aborted) return stop.signal.reason as Refusal
    return error instanceof DrainExceeded && check.refusal ? check.refusal : 'lost'
  } finally {
    calm()
  }
}

/** Takes one message's content into the store. What is not `received` has left nothing behind. Never rejects. */
export async function receiveContent(
  id: string,
  source: Readable,
  store: IncomingStore,
  limits: ContentLimits,
  pace: Pace,
): Promise<Received> {
  const check = new ContentCheck(limits)
  let file: FileHandle | undefined
  try {
    file = await store.openContent(id)
  } catch (error) {
    check.refusal = diskRefusal(error)
  }
  const end = await stream(source, check, file, { pace, sizeBytes: limits.sizeBytes })
  try {
    await file?.close()
  } catch (error) {
    // NFS tells of a full disk only now.
    check.refusal ??= diskRefusal(error)
  }
  if (end === 'ended' && !check.refusal) {
    const { sizeBytes, eightBit } = check
    return { kind: 'received', sizeBytes, eightBit, sha256: check.sha256() }
  }
  // What cannot be removed now, the sweep removes later.
  if (file) await store.removeContent(id).catch(() => undefined)
  if (end === 'lost') return { kind: 'lost' }
  if (end === 'ended') {
    return check.refusal
      ? { kind: 'refused', refusal: check.refusal, hangUp: false }
      : { kind: 'lost' }
  }
  return { kind: 'refused', refusal: end, hangUp: true }
}
