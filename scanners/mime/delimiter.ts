// Finds every line that could delimit body parts, whoever declared it: programs disagree on boundaries, not on lines.
import type { Budget } from './limits.ts'
import { createRoom, type Octets, WINDOW_BYTES } from './octets.ts'

export type Delimiters = {
  readonly count: number
  /** Where the line starts, and where the one after it. */
  start(index: number): number
  next(index: number): number
  /** The line without white space and hyphens at its end, as a number: equal for a delimiter and its closing one. */
  token(index: number): number
  /** The first line at or after an offset; `count` where there is none. */
  after(offset: number): number
  /** The next line with the same token; -1 where there is none. */
  sameAfter(index: number): number
  /** Whether anything like a Content-* field stands between the line and the next. */
  hasFields(index: number): boolean
}

const TOKEN_BYTES = 200
/** In whatever case, with what a forgiving program overlooks. */
const CONTENT = /c\0*o\0*n\0*t\0*e\0*n\0*t/gi
const HYPHEN = 0x2d
const LF = 0x0a
const CR = 0x0d

/** Undefined where there are more than the limit; that is noted. */
export async function findDelimiters(
  octets: Octets,
  budget: Budget,
): Promise<Delimiters | undefined> {
  const starts: number[] = []
  const nexts: number[] = []
  const tokens: number[] = []
  const fields: number[] = []
  const room = createRoom()
  let reach = 0
  for (let at = 0; at < octets.sizeBytes; at += WINDOW_BYTES) {
    await budget.breathe()
    // One octet before the window, and a whole line after it, belong to what is looked at.
    const base = Math.max(0, at - 1)
    const window = octets.slice(base, at + WINDOW_BYTES + TOKEN_BYTES + 4, room)
    const end = Math.min(window.length, at + WINDOW_BYTES - base)
    for (let i = window.indexOf('--', at - base); i >= 0 && i < end; ) {
      const before = i === 0 ? LF : window[i - 1]
      const isLine = (before === LF || before === CR) && base + i >= reach
      if (isLine) {
        const stop = lineEnd(window, i)
        starts.push(base + i)
        tokens.push(tokenOf(window.subarray(i, Math.min(stop, i + TOKEN_BYTES))))
        nexts.push(base + afterLine(window, stop))
        reach = base + i + 1
      }
      let skip = i + 1
      while (window[skip] === HYPHEN) skip++
      i = window.indexOf('--', skip)
    }
    // Without a colon there is no field; so base64, which has none, is not searched.
    if (window.includes(0x3a) || window.includes(0))
      for (const { index } of window.toString('latin1').matchAll(CONTENT)) {
        const start = lineStart(window, index)
        if (start >= 0 && base + start > (fields.at(-1) ?? -1)) fields.push(base + start)
      }
    if (Math.max(starts.length, fields.length) > budget.limits.delimiterLines) {
      budget.stop('too-many')
      return undefined
    }
  }
  return indexed(starts, nexts, tokens, fields)
}

/** The first of the ascending offsets that is not below `offset`, by its index. */
function firstFrom(offsets: readonly number[], offset: number): number {
  let [low, high] = [0, offsets.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((offsets[middle] ?? 0) < offset) low = middle + 1
    else high = middle
  }
  return low
}

function indexed(
  starts: number[],
  nexts: number[],
  tokens: number[],
  fields: number[],
): Delimiters {
  const same = new Int32Array(starts.length)
  const seen = new Map<number, number>()
  for (let i = starts.length - 1; i >= 0; i--) {
    const token = tokens[i] ?? 0
    same[i] = seen.get(token) ?? -1
    seen.set(token, i)
  }
  return {
    count: starts.length,
    start: index => starts[index] ?? 0,
    next: index => nexts[index] ?? 0,
    token: index => tokens[index] ?? 0,
    sameAfter: index => same[index] ?? -1,
    after: offset => firstFrom(starts, offset),
    hasFields(index) {
      const field = fields[firstFrom(fields, nexts[index] ?? 0)]
      return field !== undefined && field < (starts[index + 1] ?? Number.POSITIVE_INFINITY)
    },
  }
}

/** Of the line that has nothing but white space and NULs before `at`; -1 where it has. */
function lineStart(window: Buffer, at: number): number {
  let i = at
  while (isOverlooked(window[i - 1])) i--
  return i === 0 || window[i - 1] === LF || window[i - 1] === CR ? i : -1
}

const isOverlooked = (octet: number | undefined): boolean =>
  octet === 0x20 || octet === 0x09 || octet === 0

function lineEnd(window: Buffer, from: number): number {
  for (let i = from; i < window.length; i++) if (window[i] === LF || window[i] === CR) return i
  return window.length
}

const afterLine = (window: Buffer, end: number): number =>
  window[end] === CR && window[end + 1] === LF ? end + 2 : Math.min(end + 1, window.length)

/** FNV-1a over the line without its trailing white space and hyphens. */
export function tokenOf(line: Buffer): number {
  let end = line.length
  while (end > 2 && isTrailing(line[end - 1])) end--
  let hash = 0x811c9dc5
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ (line[i] ?? 0), 0x01000193)
  return hash >>> 0
}

const isTrailing = (octet: number | undefined): boolean =>
  octet === HYPHEN || octet === 0x20 || octet === 0x09
