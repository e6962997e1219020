// Streams DATA to `incoming/<id>.eml`: never whole in memory, never longer than its deadline, gone again if refused.
import { reply } from '../reply.ts'
import type { IncomingStore } from './answer.ts'
import type { Refusal } from './command.ts'
import { ContentFile } from './content-file.ts'
import { ContentCheck, type ContentLimits } from './data.ts'
import type { ContentStream } from './parser.ts'

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

const diskRefusal = (error: unknown): Refusal => ({
  ...(NO_ROOM.includes(String((error as NodeJS.ErrnoException)?.code))
    ? refused('disk-full', 452, '4.3.1', 'Insufficient storage, try again later')
    : refused('disk', 451, '4.3.0', 'Local error, try again later')),
  detail: String(error),
})

/** Tells when the pace is not kept, until the returned function is called. A disk that is behind is not the client's fault. */
function watchPace(
  came: () => number,
  file: ContentFile,
  pace: Pace,
  tell: (why: Refusal) => void,
): () => void {
  let octets = 0
  let diskBehind = false
  const deadline = setTimeout(() => tell(TOO_LONG), pace.deadlineMs)
  const rate = setInterval(() => {
    const since = came() - octets
    octets += since
    const behind = diskBehind || file.full
    diskBehind = file.full
    if (!behind && since < (pace.minRate * pace.windowMs) / 1000) tell(TOO_SLOW)
  }, pace.windowMs)
  return () => {
    clearTimeout(deadline)
    clearInterval(rate)
  }
}

type End = 'ended' | 'lost' | Refusal

/**
 * Reads to the end of the content. What is refused is swallowed so that the client gets to its final dot and reads why,
 * but no more than `drainBytes` of it. By hand: a pipeline cost more than all else that is done to a small message.
 */
function take(
  source: ContentStream,
  check: ContentCheck,
  file: ContentFile,
  { pace, drainBytes }: { pace: Pace; drainBytes: number },
): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>()
  let octets = 0
  let drained = 0
  const settle = (end: End) => {
    calm()
    resolve(end)
  }
  const stop = (why: Refusal) => {
    settle(why)
    source.destroy()
  }
  const calm = watchPace(() => octets, file, pace, stop)
  source.on('data', (chunk: Buffer) => {
    octets += chunk.length
    if (check.push(chunk)) {
      file.write(chunk)
      if (file.full) source.pause()
      return
    }
    drained += chunk.length
    source.free?.(chunk)
    if (drained > drainBytes && check.refusal) stop(check.refusal)
  })
  source.on('end', () => {
    check.end()
    settle('ended')
  })
  // A client that leaves in the middle destroys its stream: then there never is an 'end'.
  const lost = () => settle('lost')
  source.on('error', lost)
  source.on('close', lost)
  if (source.destroyed) lost()
  return promise
}

/** Takes one message's content into the store. What is not `received` has left nothing behind. Never rejects. */
export async function receiveContent(
  id: string,
  source: ContentStream,
  store: IncomingStore,
  limits: ContentLimits,
  pace: Pace,
): Promise<Received> {
  const check = new ContentCheck(limits)
  const file = new ContentFile(store.openContent(id), {
    failed: error => {
      check.refusal ??= diskRefusal(error)
    },
    onRoom: () => source.resume(),
    free: piece => source.free?.(piece),
  })
  const drainBytes = Math.max(DRAIN_BYTES, limits.sizeBytes)
  const end = await take(source, check, file, { pace, drainBytes })
  const made = await file.finish(end === 'ended' && !check.refusal)
  if (end === 'ended' && !check.refusal) {
    const { sizeBytes, eightBit } = check
    return { kind: 'received', sizeBytes, eightBit, sha256: check.sha256() }
  }
  // What cannot be removed now, the sweep removes later.
  if (made) await store.removeContent(id).catch(() => undefined)
  if (end === 'lost') return { kind: 'lost' }
  if (end === 'ended') {
    return check.refusal
      ? { kind: 'refused', refusal: check.refusal, hangUp: false }
      : { kind: 'lost' }
  }
  return { kind: 'refused', refusal: end, hangUp: true }
}
