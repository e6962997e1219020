// Decodes base64 in each of the ways that programs do where it isn't what RFC 2045 §6.8 asks for.
import type { Budget } from './limits.ts'
import { type Octets, type Scratch, windows } from './octets.ts'

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
}

/** A few lines behind a large file, as mailing lists add them, are read with it and without, in no further ways. */
const FOOTED_BYTES = 1024 * 1024
const FOOTER_BYTES = 8_192
const FOOTER_WAYS = 2
/** The longest line that is ever left out as a whole. */
const LINE_BYTES = 262_144

type Oddities = { padding: boolean; url: boolean; junk: boolean; onlyInFooter: boolean }

/** `most` limits the number of ways tried; those that most programs take come first. */
export async function decodeBase64(
  octets: Octets,
  scratch: Scratch,
  budget: Budget,
  most = WAYS.length,
): Promise<Base64Readings> {
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
  return { readings, regular: !odd.padding && !odd.url && !odd.junk }
}

async function survey(octets: Octets, budget: Budget): Promise<Oddities> {
  const odd: Oddities = { padding: false, url: false, junk: false, onlyInFooter: false }
  let padded = false
  let padding = 0
  let at = 0
  for (const window of windows(octets)) {
    await budget.breathe()
    for (let i = 0; i < window.length; i++) {
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
  let packed = Buffer.alloc(0)
  let count = 0
  const flush = (upTo: number): boolean => {
    if (upTo === 0) return true
    const done = sink.write(Buffer.from(packed.toString('latin1', 0, upTo), 'base64'))
    packed.copyWithin(0, upTo, count)
    count -= upTo
    return done
  }
  let line = 0
  let spoiled = false
  let over = false
  for (const window of windows(octets)) {
    await budget.breathe()
    const room = Buffer.allocUnsafe(count + window.length)
    packed.copy(room, 0, 0, count)
    packed = room
    for (let i = 0; i < window.length && !over; i++) {
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
