// Finds the end of the content, CRLF.CRLF and nothing else, and takes out the dots that keep lines from being it.

const CR = 13
const LF = 10
const DOT = 46
const LINE_OF_DOT = Buffer.from('\r\n.')

/** What one chunk of DATA comes to; `rest` is what came after the final dot, and undefined before that. */
export type Taken = { content: Buffer; rest: Buffer | undefined }

/** RFC 5321 §4.5.2, over chunks that may be cut anywhere. For one message. */
export class Dots {
  /** What came last: a CRLF or nothing at all, a CR, or anything else. */
  #last: 'line' | 'cr' | 'other' = 'line'
  /** A dot at the start of a line, perhaps with a CR, of which the next chunk says what it is. */
  #held: Buffer | undefined

  /** The content in a chunk, in the chunk's own memory: what is left when dots were taken out moves up. */
  take(came: Buffer): Taken {
    const chunk = this.#held ? Buffer.concat([this.#held, came]) : came
    this.#held = undefined
    let kept = 0
    let from = 0
    const keep = (end: number) => {
      if (kept < from) chunk.copyWithin(kept, from, end)
      kept += end - from
    }
    for (let dot = this.#first(chunk); dot >= 0; dot = after(chunk, dot)) {
      const next = chunk[dot + 1]
      if (next === DOT) {
        keep(dot)
        from = dot + 1
      } else if (next === CR && chunk[dot + 2] === LF) {
        keep(dot)
        return { content: chunk.subarray(0, kept), rest: chunk.subarray(dot + 3) }
      } else if (dot + 1 + (next === CR ? 1 : 0) === chunk.length) {
        keep(dot)
        this.#held = Buffer.from(chunk.subarray(dot))
        this.#last = 'line'
        return { content: chunk.subarray(0, kept), rest: undefined }
      }
    }
    this.#remember(chunk)
    keep(chunk.length)
    return { content: chunk.subarray(0, kept), rest: undefined }
  }

  #first(chunk: Buffer): number {
    if (this.#last === 'line' && chunk[0] === DOT) return 0
    if (this.#last === 'cr' && chunk[0] === LF && chunk[1] === DOT) return 1
    return after(chunk, 0)
  }

  #remember(chunk: Buffer): void {
    const last = chunk[chunk.length - 1]
    const afterCr = chunk.length > 1 ? chunk[chunk.length - 2] === CR : this.#last === 'cr'
    if (last === CR) this.#last = 'cr'
    else this.#last = last === LF && afterCr ? 'line' : 'other'
  }
}

/** Where the next line begins with a dot; -1 for none. */
function after(chunk: Buffer, start: number): number {
  const at = chunk.indexOf(LINE_OF_DOT, start)
  return at < 0 ? -1 : at + 2
}
