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
  /** Files looked at in one archive, by each way to read it. */
  archiveEntries: number
  /** What becomes this many times as much by decompressing is a bomb, once it is more than `bombBytes`. */
  bombRatio: number
  bombBytes: number
  /** Octets that an LZMA decoder may have to look back. */
  dictionaryBytes: number
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
  archiveEntries: 5_000,
  bombRatio: 200,
  bombBytes: 8 * 1024 * 1024,
  dictionaryBytes: 64 * 1024 * 1024,
  timeMs: 20_000,
}

/** Why nobody can say that all of a message was looked at. A closed set: policies and metrics know each by name. */
export const REASONS = [
  /** More parts, delimiters, archive entries or readings of one part than the limits allow. */
  'too-many',
  'too-deep',
  /** A header section, a leaf or all that was decoded; a bomb. */
  'too-large',
  /** It can be read in more ways than are tried. */
  'ambiguous',
  /** RFC 2046 §5.2.2: a piece of a message, the others come by themselves. */
  'message-partial',
  /** RFC 2046 §5.2.3: what is shown lies somewhere else. */
  'message-external-body',
  /** S/MIME enveloped data, PGP/MIME, or PGP in text: only its addressee can read it. */
  'encrypted-mail',
  'encrypted-archive',
  'encrypted-document',
  /** Packed in a way that neither the engine nor the reader can open. */
  'unsupported-archive',
] as const
export type Reason = (typeof REASONS)[number]

/**
 * What ends a reading, or is noted in it. `too-slow` may be the machine's fault, and is no verdict on the message;
 * `rar` leaves it to the engine, if that opens RAR: Debian's clamd does not.
 */
export type Ending = Reason | 'too-slow' | 'rar'

export type Budget = {
  readonly limits: Limits
  /** All that was noted, what ended the reading first; empty where everything was read. */
  readonly endings: Ending[]
  /** No more work: a limit is exceeded, or nobody waits for the result. */
  readonly spent: boolean
  /** Notes a reason that does not end the reading. */
  note(reason: Reason | 'rar'): void
  /** Notes a reason, and ends the reading. */
  stop(reason: Ending): void
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
  const noted = new Set<Ending>()
  let stopped: Ending | undefined
  let parts = 0
  let bytes = 0
  const mostBytes = Math.min(
    limits.decodedBytes,
    Math.max(limits.decodedFloorBytes, sizeBytes * limits.expansionRatio),
  )
  let since = performance.now()
  let pausedAt = since
  let usedMs = 0
  const stop = (reason: Ending): void => {
    stopped ??= reason
  }
  return {
    limits,
    get endings() {
      return [...new Set([...(stopped ? [stopped] : []), ...noted])]
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
