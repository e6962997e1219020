// How much one message may ask of the reader, each limit with its name, and the account of what it has asked so far.
import { setImmediate as turn } from 'node:timers/promises'

export type Limits = {
  /** Body parts and swept-out blobs, every reading's together. */
  parts: number
  /** Layers that had to be taken off one by one: decodings, archives, messages within messages. */
  depth: number
  /** Octets of one header section. */
  headerBytes: number
  /** Lines that could be a delimiter, in one text. */
  delimiterLines: number
  /** Readings of one part: where its body starts and ends, and how it is encoded. */
  readings: number
  /** Octets of one leaf. */
  leafBytes: number
  /** Octets of all that is decoded, every reading counted. */
  decodedBytes: number
  /** `decodedBytes` for a small message: so many times its size, but at least `decodedFloorBytes`. */
  expansionRatio: number
  decodedFloorBytes: number
  /** Decoded octets kept in memory, for each leaf; more goes to a nameless file beside the message. */
  memoryBytes: number
  /** Milliseconds the reader itself may compute, waiting for the engine not counted. */
  timeMs: number
}

export const LIMITS: Limits = {
  parts: 10_000,
  depth: 100,
  headerBytes: 262_144,
  delimiterLines: 1_000_000,
  readings: 32,
  leafBytes: 64 * 1024 * 1024,
  decodedBytes: 256 * 1024 * 1024,
  expansionRatio: 100,
  decodedFloorBytes: 16 * 1024 * 1024,
  memoryBytes: 1024 * 1024,
  timeMs: 20_000,
}

/** Why nobody can say that all of a message was looked at; `too-slow` may be the machine's fault. */
export type Reason =
  | 'too-many'
  | 'too-deep'
  | 'too-large'
  | 'ambiguous'
  | 'message-partial'
  | 'message-external-body'
  | 'unsupported-archive'
  | 'too-slow'

export type Budget = {
  readonly limits: Limits
  /** The first reason noted; those that end the reading come first. */
  readonly reason: Reason | undefined
  /** No more work: a limit is exceeded, or nobody waits for the result. */
  readonly spent: boolean
  /** Notes a reason that does not end the reading. */
  note(reason: Reason): void
  /** Notes a reason, and ends the reading. */
  stop(reason: Reason): void
  /** False, and the end, where one part more is too many. */
  takePart(): boolean
  /** False, and the end, where so many octets more are too many. */
  takeBytes(count: number): boolean
  /** Lets others have the event loop if it was held for long. */
  breathe(): Promise<void>
  /** To be called before and after the reader waits for others: that time is not its own. */
  pause(): void
  resume(): void
}

/** Milliseconds at a stretch. */
const STRETCH_MS = 10

export function createBudget(limits: Limits, sizeBytes: number, signal: AbortSignal): Budget {
  const noted = new Set<Reason>()
  let stopped: Reason | undefined
  let parts = 0
  let bytes = 0
  const mostBytes = Math.min(
    limits.decodedBytes,
    Math.max(limits.decodedFloorBytes, sizeBytes * limits.expansionRatio),
  )
  let since = performance.now()
  let pausedAt = since
  let usedMs = 0
  const stop = (reason: Reason): void => {
    stopped ??= reason
  }
  return {
    limits,
    get reason() {
      return stopped ?? [...noted][0]
    },
    get spent() {
      return stopped !== undefined || signal.aborted
    },
    note: reason => void noted.add(reason),
    stop,
    takePart() {
      if (++parts > limits.parts) stop('too-many')
      return stopped === undefined
    },
    takeBytes(count) {
      bytes += count
      if (bytes > mostBytes) stop('too-large')
      return stopped === undefined
    },
    async breathe() {
      const heldMs = performance.now() - since
      if (heldMs < STRETCH_MS) return
      usedMs += heldMs
      if (usedMs > limits.timeMs) stop('too-slow')
      await turn()
      since = performance.now()
    },
    pause() {
      pausedAt = performance.now()
    },
    resume() {
      since += performance.now() - pausedAt
    },
  }
}
