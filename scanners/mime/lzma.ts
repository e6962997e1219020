// Decompresses LZMA, as .lzma and .lz files, some zips and the headers of 7z archives hold it; no engine opens those.
//
// No well-kept decoder stops at a limit or gives way in between, so this is the one of the format's own specification.
import type { Octets } from './octets.ts'
import { WINDOW_BYTES } from './octets.ts'
import type { Session } from './session.ts'

/** Octets decoded between two looks at the limits. */
const STRETCH_BYTES = 65_536
const FIRST_DICTIONARY_BYTES = 262_144
const PROBABILITY = 1024
const TOP = 2 ** 24
const LENGTH_STATES = 16
const LEAST_MATCH = 2

/** `properties`: lc, lp and pb in one octet, and the size of the dictionary in four. */
export async function decodeLzma(
  packed: Octets,
  properties: Buffer,
  session: Session,
  sizeBytes = Number.POSITIVE_INFINITY,
): Promise<Octets | undefined> {
  const [packing = 255] = properties
  if (properties.length < 5 || packing >= 9 * 5 * 5) return undefined
  const { scratch, budget } = session
  const dictionaryBytes = Math.max(4096, properties.readUInt32LE(1))
  if (dictionaryBytes > budget.limits.dictionaryBytes) {
    budget.note('unsupported-archive')
    return undefined
  }
  const decoder = new Decoder(packed, packing, dictionaryBytes)
  const sink = scratch.sink(budget)
  while (!decoder.isOver && sink.sizeBytes < sizeBytes) {
    await budget.breathe()
    const chunk = decoder.run(Math.min(STRETCH_BYTES, sizeBytes - sink.sizeBytes))
    if (!sink.write(chunk)) break
  }
  return sink.finish()
}

const probabilities = (count: number): Uint16Array => new Uint16Array(count).fill(PROBABILITY)

class Lengths {
  choice = probabilities(2)
  low = probabilities(LENGTH_STATES * 8)
  middle = probabilities(LENGTH_STATES * 8)
  high = probabilities(256)
}

/** After a literal, a match, a repeated match or a single octet repeated. */
const afterLiteral = (state: number): number => (state < 4 ? 0 : state < 10 ? state - 3 : state - 6)

class Decoder {
  isOver = false
  private readonly packed: Octets
  private window: Buffer = Buffer.alloc(0)
  private windowFrom = 0
  private at = 0
  private range = 0xffffffff
  private code = 0

  private readonly lc: number
  private readonly literalMask: number
  private readonly positionMask: number
  private readonly literals: Uint16Array
  private readonly isMatch = probabilities(12 * 16)
  private readonly isRepeat = probabilities(12)
  private readonly isRepeat0 = probabilities(12)
  private readonly isRepeat1 = probabilities(12)
  private readonly isRepeat2 = probabilities(12)
  private readonly isLongRepeat0 = probabilities(12 * 16)
  private readonly slots = probabilities(4 * 64)
  private readonly special = probabilities(128)
  private readonly align = probabilities(16)
  private readonly matchLengths = new Lengths()
  private readonly repeatLengths = new Lengths()

  private readonly most: number
  private dictionary: Buffer
  private place = 0
  private total = 0
  private state = 0
  private distances: [number, number, number, number] = [0, 0, 0, 0]
  /** Of a match that did not fit into the last stretch. */
  private left = 0

  constructor(packed: Octets, packing: number, dictionaryBytes: number) {
    this.packed = packed
    this.lc = packing % 9
    const rest = Math.floor(packing / 9)
    this.literalMask = (1 << (rest % 5)) - 1
    this.positionMask = (1 << Math.floor(rest / 5)) - 1
    this.literals = probabilities(0x300 << (this.lc + (rest % 5)))
    this.most = dictionaryBytes
    this.dictionary = Buffer.alloc(Math.min(dictionaryBytes, FIRST_DICTIONARY_BYTES))
    this.octet()
    for (let i = 0; i < 4; i++) this.code = ((this.code << 8) | this.octet()) >>> 0
  }

  /** At most so many octets; fewer where the data end, or are none of LZMA's. */
  run(count: number): Buffer {
    const out = Buffer.allocUnsafe(count)
    let done = 0
    while (done < count && !this.isOver) {
      if (this.left > 0) {
        this.left--
        done = this.put(out, done, this.back(this.distances[0]))
        continue
      }
      const position = this.total & this.positionMask
      if (this.bit(this.isMatch, this.state * 16 + position) === 0) {
        const octet = this.literal()
        this.state = afterLiteral(this.state)
        if (!this.isOver) done = this.put(out, done, octet)
      } else this.left = this.match(position)
    }
    return out.subarray(0, done)
  }

  private octet(): number {
    if (this.at >= this.windowFrom + this.window.length) {
      this.windowFrom = this.at
      this.window = this.packed.slice(this.at, this.at + WINDOW_BYTES)
    }
    const octet = this.window[this.at++ - this.windowFrom]
    if (octet === undefined) this.isOver = true
    return octet ?? 0
  }

  private bit(model: Uint16Array, index: number): number {
    const probability = model[index] ?? PROBABILITY
    const bound = (this.range >>> 11) * probability
    let bit = 0
    if (this.code < bound) {
      this.range = bound
      model[index] = probability + ((2048 - probability) >> 5)
    } else {
      this.range -= bound
      this.code -= bound
      model[index] = probability - (probability >> 5)
      bit = 1
    }
    this.normalize()
    return bit
  }

  private normalize(): void {
    if (this.range >= TOP) return
    this.range = (this.range << 8) >>> 0
    this.code = ((this.code << 8) | this.octet()) >>> 0
  }

  private tree(model: Uint16Array, from: number, bits: number): number {
    let node = 1
    for (let i = 0; i < bits; i++) node = (node << 1) | this.bit(model, from + node)
    return node - (1 << bits)
  }

  private reverseTree(model: Uint16Array, from: number, bits: number): number {
    let [node, value] = [1, 0]
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(model, from + node)
      node = (node << 1) | bit
      value |= bit << i
    }
    return value
  }

  private direct(bits: number): number {
    let value = 0
    for (let i = 0; i < bits; i++) {
      this.range >>>= 1
      const bit = this.code >= this.range ? 1 : 0
      if (bit) this.code -= this.range
      this.normalize()
      value = value * 2 + bit
    }
    return value
  }

  private literal(): number {
    const before = this.total > 0 ? this.back(0) : 0
    const place = ((this.total & this.literalMask) << this.lc) + (before >> (8 - this.lc))
    const from = 0x300 * place
    let symbol = 1
    if (this.state >= 7) {
      let matched = this.back(this.distances[0])
      while (symbol < 0x100) {
        const expected = (matched >> 7) & 1
        matched <<= 1
        const bit = this.bit(this.literals, from + ((1 + expected) << 8) + symbol)
        symbol = (symbol << 1) | bit
        if (bit !== expected) break
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.bit(this.literals, from + symbol)
    return symbol & 0xff
  }

  /** The length of the match whose distance is the first of `distances` from now on. */
  private match(position: number): number {
    const { state, distances } = this
    const isShort = state < 7
    if (this.bit(this.isRepeat, state) === 0) {
      const length = this.length(this.matchLengths, position)
      const distance = this.distance(length)
      this.distances = [distance, distances[0], distances[1], distances[2]]
      this.state = isShort ? 7 : 10
      if (distance >= Math.min(this.total, this.most)) this.isOver = true
      return this.isOver ? 0 : length + LEAST_MATCH
    }
    if (this.total === 0) this.isOver = true
    if (this.bit(this.isRepeat0, state) === 0) {
      if (this.bit(this.isLongRepeat0, state * 16 + position) === 0) {
        this.state = isShort ? 9 : 11
        return 1
      }
    } else this.promote()
    const length = this.length(this.repeatLengths, position)
    this.state = isShort ? 8 : 11
    return length + LEAST_MATCH
  }

  private promote(): void {
    const [a, b, c, d] = this.distances
    if (this.bit(this.isRepeat1, this.state) === 0) this.distances = [b, a, c, d]
    else if (this.bit(this.isRepeat2, this.state) === 0) this.distances = [c, a, b, d]
    else this.distances = [d, a, b, c]
  }

  private length(model: Lengths, position: number): number {
    if (this.bit(model.choice, 0) === 0) return this.tree(model.low, position * 8, 3)
    if (this.bit(model.choice, 1) === 0) return 8 + this.tree(model.middle, position * 8, 3)
    return 16 + this.tree(model.high, 0, 8)
  }

  private distance(length: number): number {
    const slot = this.tree(this.slots, Math.min(length, 3) * 64, 6)
    if (slot < 4) return slot
    const bits = (slot >> 1) - 1
    const base = (2 | (slot & 1)) * 2 ** bits
    if (slot < 14) return base + this.reverseTree(this.special, base - slot, bits)
    return base + this.direct(bits - 4) * 16 + this.reverseTree(this.align, 0, 4)
  }

  private back(distance: number): number {
    const place = this.place - distance - 1
    return this.dictionary[place < 0 ? place + this.dictionary.length : place] ?? 0
  }

  private put(out: Buffer, done: number, octet: number): number {
    if (this.place === this.dictionary.length) this.grow()
    this.dictionary[this.place++] = octet
    this.total++
    out[done] = octet
    return done + 1
  }

  /** As large as it has to be, since what a header asks for need never be used. */
  private grow(): void {
    const size = this.dictionary.length
    if (size === this.most) {
      this.place = 0
      return
    }
    const larger = Buffer.alloc(Math.min(this.most, size * 4))
    this.dictionary.copy(larger)
    this.dictionary = larger
  }
}
