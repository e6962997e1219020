// Looks at content octet by octet while it streams to disk: line ends, NUL, size, the header section's limits, hash.
import { createHash } from 'node:crypto'
import { reply } from '../reply.ts'
import type { Refusal } from './command.ts'

export type ContentLimits = {
  sizeBytes: number
  /** `Received` fields (RFC 5321 §6.3). */
  hops: number
  headerSectionBytes: number
  headerFields: number
  /** Lines of one field. */
  headerFolds: number
}

const CR = 13
const LF = 10
const COLON = 58
/** Of four octets in one word: the highest bit of each, and what can't be taken from one up to CR without borrowing. */
const HIGH = 0x80808080
const ABOVE_CR = 0x0e0e0e0e

const refused = (reason: string, code: number, enhanced: string, text: string): Refusal => ({
  reason,
  reply: reply(code, enhanced, text),
})
export const REFUSALS = {
  bareNewline: refused('bare-newline', 550, '5.5.2', 'Bare CR or LF in the message'),
  nul: refused('nul', 550, '5.6.0', 'NUL in the message'),
  size: refused('size', 552, '5.3.4', 'Message too big'),
  hops: refused('loop', 554, '5.4.6', 'Too many hops'),
  // The limit on octets is one of size, the others are of form.
  headerSection: refused('header-section', 552, '5.3.4', 'Header section too big'),
  headerFields: refused('header-fields', 554, '5.6.0', 'Too many header fields'),
  headerFolds: refused('header-folds', 554, '5.6.0', 'Header field of too many lines'),
}

const RECEIVED = Buffer.from('received')

/** Counts fields, their lines and `Received` in the header section, in whatever chunks it comes. */
class HeaderSection {
  done = false
  readonly #limits: ContentLimits
  #octets = 0
  #fields = 0
  #lines = 0
  #hops = 0
  #column = 0
  /** Octets of `received` matched at the start of this line; -1 when it is another field. */
  #match = 0

  constructor(limits: ContentLimits) {
    this.#limits = limits
  }

  /** Octets up to `end` have proper line ends. */
  push(chunk: Uint8Array, end: number): Refusal | undefined {
    for (let i = 0; i < end && !this.done; i++) {
      if (++this.#octets > this.#limits.headerSectionBytes) return REFUSALS.headerSection
      const octet = chunk[i]
      if (octet === CR || octet === undefined) continue
      if (octet === LF) {
        this.done = this.#column === 0
        this.#column = 0
        continue
      }
      const refusal = this.#column++ === 0 ? this.#startLine(octet) : undefined
      if (refusal) return refusal
      if (this.#match >= 0 && this.#isReceived(octet)) return REFUSALS.hops
    }
    return undefined
  }

  #startLine(octet: number): Refusal | undefined {
    const folded = (octet === 32 || octet === 9) && this.#fields > 0
    this.#match = folded ? -1 : 0
    if (folded) {
      return ++this.#lines > this.#limits.headerFolds ? REFUSALS.headerFolds : undefined
    }
    this.#lines = 1
    return ++this.#fields > this.#limits.headerFields ? REFUSALS.headerFields : undefined
  }

  #isReceived(octet: number): boolean {
    if (this.#match < RECEIVED.length) {
      this.#match = (octet | 32) === RECEIVED[this.#match] ? this.#match + 1 : -1
      return false
    }
    // RFC 5322 §4.5: obsolete syntax allows white space before the colon
    if (octet === 32 || octet === 9) return false
    this.#match = -1
    return octet === COLON && ++this.#hops > this.#limits.hops
  }
}

/** What is known of the octets so far. The same octets give the same result in whatever chunks they come. */
export class ContentCheck {
  /** The first fault found; from then on nothing is kept. */
  refusal: Refusal | undefined
  sizeBytes = 0
  eightBit = false
  readonly #limits: ContentLimits
  readonly #header: HeaderSection
  readonly #hash = createHash('sha256')
  #afterCr = false
  #nul = false

  constructor(limits: ContentLimits) {
    this.#limits = limits
    this.#header = new HeaderSection(limits)
  }

  /** Whether this chunk is to be kept; false once anything is refused. */
  push(chunk: Uint8Array): boolean {
    if (this.refusal) return false
    const room = this.#limits.sizeBytes - this.sizeBytes
    const end = this.#scan(chunk, Math.min(chunk.length, room))
    this.refusal = this.#header.done ? undefined : this.#header.push(chunk, end)
    if (!this.refusal && end < Math.min(chunk.length, room)) this.refusal = this.#fault()
    if (!this.refusal && chunk.length > room) this.refusal = REFUSALS.size
    if (this.refusal) return false
    this.sizeBytes += chunk.length
    this.#hash.update(chunk)
    return true
  }

  /** Nothing more comes. */
  end(): void {
    if (this.#afterCr) this.refusal ??= REFUSALS.bareNewline
  }

  /** Lower-case hex; once, after `end`. */
  sha256(): string {
    return this.#hash.digest('hex')
  }

  /** Where the first octet stands that may not stand there, or `end`. Four at a time where none of them is a control. */
  #scan(chunk: Uint8Array, end: number): number {
    const start = -chunk.byteOffset & 3
    const count = (end - start) >> 2
    if (count <= 0) return this.#look(chunk, 0, end)
    const before = this.#look(chunk, 0, start)
    if (before < start) return before
    const words = new Int32Array(chunk.buffer, chunk.byteOffset + start, count)
    let all = 0
    for (let i = 0; i < count; i++) {
      const word = words[i] ?? 0
      if (!this.#afterCr && (((word - ABOVE_CR) | 0) & ~word & HIGH) === 0) {
        all |= word
        continue
      }
      const at = start + 4 * i
      const found = this.#look(chunk, at, at + 4)
      if (found < at + 4) return found
    }
    if ((all & HIGH) !== 0) this.eightBit = true
    return this.#look(chunk, start + 4 * count, end)
  }

  /** As `#scan`, octet by octet. */
  #look(chunk: Uint8Array, start: number, end: number): number {
    let afterCr = this.#afterCr
    let all = 0
    for (let i = start; i < end; i++) {
      const octet = chunk[i] ?? 0
      if ((octet === LF) !== afterCr || octet === 0) {
        this.#nul = octet === 0 && !afterCr
        return i
      }
      afterCr = octet === CR
      all |= octet
    }
    this.#afterCr = afterCr
    if (all > 127) this.eightBit = true
    return end
  }

  #fault(): Refusal {
    return this.#nul ? REFUSALS.nul : REFUSALS.bareNewline
  }
}
