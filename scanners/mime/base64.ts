// Decodes base64 in each of the ways that programs do where it isn't what RFC 2045 §6.8 asks for.
import type { Budget } from './limits.ts'
import { createRoom, type Octets, type Scratch, WINDOW_BYTES } from './octets.ts'

type Way = {
  /** At padding with more after it: stop there, start afresh, or take no notice. */
  padding: 'stop' | 'restart' | 'ignore'
  /** RFC 4648 §5's hyphen and underscore: letters of the alphabet, or junk. */
  url: 'letter' | 'junk'
  /** At octets outside the alphabet: leave them out, stop, or leave out the line. */
  junk: 'skip' | 'stop' | 'line'
}

const WAYS: readonly Way[] = [
  { padding: 'restart', url: 'letter', junk: 'skip' },
  { padding: 'stop', url: 'letter', junk: 'skip' },
  { padding: 'ignore', url: 'letter', junk: 'skip' },
  { padding: 'restart', url: 'junk', junk: 'skip' },
  { padding: 'stop', url: 'junk', junk: 'skip' },
  { padding: 'ignore', url: 'junk', junk: 'skip' },
  { padding: 'stop', url: 'junk', junk: 'stop' },
  { padding: 'restart', url: 'junk', junk: 'line' },
  { padding: 'stop', url: 'junk', junk: 'line' },
  { padding: 'ignore', url: 'junk', junk: 'line' },
]

const LETTER = 0
const SPACE = 1
const LINE_END = 2
const PADDING = 3
const URL_LETTER = 4
const JUNK = 5

const kinds = new Uint8Array(256).fill(JUNK)
const say = (letters: string, kind: number): void => {
  for (const letter of letters) kinds[letter.charCodeAt(0)] = kind
}
say('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', LETTER)
say(' \t', SPACE)
say('\r\n', LINE_END)
say('=', PADDING)
say('-_', URL_LETTER)

export type Base64Readings = {
  readings: Octets[]
  /** Nothing but the alphabet, white space, and padding at the end. */
  regular: boolean
  /** By RFC 2045 §6.8 to the letter, so that there is one reading whoever reads it. */
  clean: boolean
}

/** A few lines behind a large file, as mailing lists add them, are read with it and without, in no further ways. */
const FOOTED_BYTES = 1024 * 1024
const FOOTER_BYTES = 8_192
const FOOTER_WAYS = 2
/** The longest line that is ever left out as a whole. */
const LINE_BYTES = 262_144

/** Longer lines are decoded letter by letter. */
const LONGEST_LINE_BYTES = 1_000

type Oddities = { padding: boolean; url: boolean; junk: boolean; onlyInFooter: boolean }

/** `most` limits the number of ways tried; those that most programs take come first. */
export async function decodeBase64(
  octets: Octets,
  scratch: Scratch,
  budget: Budget,
  most = WAYS.length,
): Promise<Base64Readings> {
  const clean = await decodeClean(octets, scratch, budget)
  if (clean) return { readings: clean.sizeBytes > 0 ? [clean] : [], regular: true, clean: true }
  const odd = await survey(octets, budget)
  const tried = new Set<string>()
  const readings: Octets[] = []
  for (const way of WAYS) {
    const padding = odd.padding ? way.padding : 'stop'
    const url = odd.url ? way.url : 'letter'
    const junk = odd.junk || (odd.url && url === 'junk') ? way.junk : 'skip'
    const key = `${padding} ${url} ${junk}`
    if (tried.has(key) || tried.size >= (odd.onlyInFooter ? FOOTER_WAYS : most) || budget.spent)
      continue
    tried.add(key)
    const reading = await decode(octets, { padding, url, junk }, scratch, budget)
    if (reading.sizeBytes > 0) readings.push(reading)
  }
  return { readings, regular: !odd.padding && !odd.url && !odd.junk, clean: false }
}

/** RFC 2045 §6.8. */
const LINE_LETTERS = 76
/** How the last line ends, and empty lines behind it. */
const CLEAN_END = /^[A-Za-z0-9+/]*={0,2}(?:\r\n)*$/
const END_BYTES = 512

/** Most bodies, decoded and found to be clean in one pass; undefined where they are anything else. */
async function decodeClean(
  octets: Octets,
  scratch: Scratch,
  budget: Budget,
): Promise<Octets | undefined> {
  const end = octets.sizeBytes
  const last = octets.slice(Math.max(0, end - END_BYTES), end).toString('latin1')
  // Most of what isn't clean has something behind its padding: seen here, nothing is decoded in vain.
  if (!/^[A-Za-z0-9+/\r\n]*={0,2}(?:\r\n)*$/.test(last)) return undefined
  const first = octets.slice(0, LINE_LETTERS + 2).indexOf('\r\n')
  if (first % 4 !== 0 && (first >= 0 || end > LINE_LETTERS)) return undefined
  const sink = scratch.sink(budget, decodedBytes(end))
  let at = 0
  for (const { window, regular, decoded } of lineWindows(octets)) {
    await budget.breathe()
    if (!sink.write(decoded)) return undefined
    at += regular
    if (regular < window.length) break
  }
  const tail = octets.slice(at, end).toString('latin1')
  const letters = tail.trimEnd()
  const isClean =
    end - at <= END_BYTES &&
    CLEAN_END.test(tail) &&
    letters.length % 4 === 0 &&
    letters.length <= LINE_LETTERS
  if (!isClean || !sink.write(Buffer.from(letters, 'base64'))) return undefined
  return sink.finish()
}

type LineWindow = {
  window: Buffer
  /** So many octets at its beginning are lines of one length, a multiple of 4, of letters only. */
  regular: number
  /** What these decode to; good until the next window, as that is. */
  decoded: Buffer
}

/** Windows that begin where lines of the first one's length would; by far most base64 is in such lines. */
function* lineWindows(octets: Octets): Generator<LineWindow> {
  const first = octets.slice(0, LONGEST_LINE_BYTES).indexOf('\r\n')
  const length = first > 0 && first % 4 === 0 ? first : 0
  const step = length > 0 ? WINDOW_BYTES - (WINDOW_BYTES % (length + 2)) : WINDOW_BYTES
  const [room, decoder] = [createRoom(), createDecoder()]
  for (let at = 0; at < octets.sizeBytes; at += step) {
    const window = octets.slice(at, at + step, room)
    const lines = length > 0 ? linesOfLength(window, length) : 0
    const regular = lines * (length + 2)
    const decoded = decoder(window.subarray(0, regular))
    // The built-in decoder skips what is no letter, so that any such octet leaves too little; but it takes these two.
    const isRegular =
      decoded.length === (lines * length * 3) / 4 &&
      !window.includes(HYPHEN) &&
      !window.includes(UNDERSCORE)
    yield isRegular ? { window, regular, decoded } : { window, regular: 0, decoded: NOTHING }
  }
}

const HYPHEN = 0x2d
const UNDERSCORE = 0x5f
const decodedBytes = (letters: number): number => Math.ceil((letters * 3) / 4)

/** The engine's own, which needs a string, into the same place each time. */
function createDecoder(): (letters: Buffer) => Buffer {
  const room = createRoom()
  return letters => {
    const place = room.of(decodedBytes(letters.length))
    return place.subarray(0, place.write(letters.toString('latin1'), 'base64'))
  }
}

const NOTHING = Buffer.alloc(0)

function linesOfLength(window: Buffer, length: number): number {
  let lines = 0
  for (let end = length; window[end] === 0x0d && window[end + 1] === 0x0a; end += length + 2)
    lines++
  return lines
}

async function survey(octets: Octets, budget: Budget): Promise<Oddities> {
  const odd: Oddities = { padding: false, url: false, junk: false, onlyInFooter: false }
  let padded = false
  let padding = 0
  let at = 0
  for (const { window, regular } of lineWindows(octets)) {
    await budget.breathe()
    if (padded && regular > 0) odd.padding = true
    for (let i = regular; i < window.length; i++) {
      const kind = kinds[window[i] ?? 0]
      if (kind === LETTER) {
        if (padded) odd.padding = true
      } else if (kind === PADDING) {
        if (!padded) {
          padding = at + i
          odd.onlyInFooter = !odd.url && !odd.junk
        }
        padded = true
      } else if (kind === URL_LETTER) odd.url = true
      else if (kind === JUNK) odd.junk = true
    }
    at += window.length
    if (odd.padding && odd.url && odd.junk) break
  }
  const footer = octets.sizeBytes - padding
  odd.onlyInFooter &&= padding > FOOTED_BYTES && footer < FOOTER_BYTES
  return odd
}

/** Packs the letters that count, and lets the engine's own decoder do the rest. */
async function decode(octets: Octets, way: Way, scratch: Scratch, budget: Budget): Promise<Octets> {
  const sink = scratch.sink(budget)
  const decoder = createDecoder()
  let packed = NOTHING
  let count = 0
  const flush = (upTo: number): boolean => {
    if (upTo === 0) return true
    const done = sink.write(decoder(packed.subarray(0, upTo)))
    packed.copyWithin(0, upTo, count)
    count -= upTo
    return done
  }
  let line = 0
  let spoiled = false
  let over = false
  for (const { window, regular, decoded } of lineWindows(octets)) {
    await budget.breathe()
    const start = count === 0 && !spoiled ? regular : 0
    if (start > 0 && !sink.write(decoded)) break
    if (start > 0) line = 0
    if (count + window.length > packed.length) {
      const room = Buffer.allocUnsafeSlow(count + window.length)
      packed.copy(room, 0, 0, count)
      packed = room
    }
    for (let i = start; i < window.length && !over; i++) {
      const octet = window[i] ?? 0
      const kind = kinds[octet]
      if (kind === LETTER || (kind === URL_LETTER && way.url === 'letter')) packed[count++] = octet
      else if (kind === LINE_END) {
        if (spoiled) count = Math.min(line, count)
        spoiled = false
        line = count
      } else if (kind === PADDING) {
        if (count === 0 || way.padding === 'ignore') continue
        if (way.padding === 'stop') over = true
        else if (!flush(count)) over = true
        else line = 0
      } else if (kind !== SPACE) {
        if (way.junk === 'stop') over = true
        else if (way.junk === 'line') spoiled = true
      }
    }
    if (over) break
    // An unfinished line may still have to be taken back, but not one longer than any program's buffer.
    const held = way.junk === 'line' && count - line < LINE_BYTES
    const sure = held ? Math.min(line, count) : count
    const whole = sure - (sure % 4)
    if (!flush(whole)) break
    line = Math.max(0, line - whole)
  }
  if (spoiled && !over) count = Math.min(line, count)
  flush(count)
  return sink.finish()
}
