// Goes through octets line by line, whatever ends the lines, without holding more than a window of them.
import { type Octets, WINDOW_BYTES } from './octets.ts'

export type Line = { from: number; next: number; octets: Buffer }

/** A line longer than a window comes in several. */
export function* linesOf(octets: Octets, from: number, to = octets.sizeBytes): Generator<Line> {
  for (let at = from; at < to; ) {
    const window = octets.slice(at, Math.min(to, at + WINDOW_BYTES))
    let begin = 0
    for (let end = window.indexOf(0x0a); end >= 0; end = window.indexOf(0x0a, begin)) {
      const stop = end > begin && window[end - 1] === 0x0d ? end - 1 : end
      yield { from: at + begin, next: at + end + 1, octets: window.subarray(begin, stop) }
      begin = end + 1
    }
    const isLast = at + window.length >= to
    if (begin === 0 || isLast) {
      if (begin < window.length)
        yield { from: at + begin, next: at + window.length, octets: window.subarray(begin) }
      begin = window.length
    }
    at += begin
  }
}
