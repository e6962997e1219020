// Finds the body parts that can be cut out of a message: those whose place nobody disputes (RFC 2046 §5.1 to the letter).

import { type Delimiters, findDelimiters } from '../mime/delimiter.ts'
import { type HeaderSection, readHeader, valuesOf } from '../mime/header.ts'
import type { Budget } from '../mime/limits.ts'
import type { Octets } from '../mime/octets.ts'
import type { Span } from '../scanner.ts'

const DEPTH = 20
/** Longest delimiter line (RFC 2046 §5.1.1), with its hyphens and padding. */
const LINE_BYTES = 200
const PLAIN_ENCODING = /^(7bit|8bit|binary)$/i
/** What is signed or encrypted as a whole is not cut: it would be worth nothing. */
const MULTIPART = /^multipart\/(?!signed\b|encrypted\b)[a-z-]+\s*;/i
const BOUNDARY = /;\s*boundary=(?:"([^"\\]{1,70})"|([^\s;"()<>@,:\\/[\]?=]{1,70}))\s*(?=;|$)/gi

/** By where each part's header section starts. Empty where the message is not written as it should be. */
export async function spansOf(octets: Octets, budget: Budget): Promise<Map<number, Span>> {
  const spans = new Map<number, Span>()
  const delimiters = await findDelimiters(octets, budget)
  if (delimiters)
    collect({ octets, delimiters, budget, spans }, { from: 0, to: octets.sizeBytes }, 0)
  return spans
}

type Search = { octets: Octets; delimiters: Delimiters; budget: Budget; spans: Map<number, Span> }

function collect(search: Search, { from, to }: Span, depth: number): void {
  const { octets, budget, spans } = search
  if (depth > DEPTH) return
  const header = readHeader(octets, from, to, budget.limits.headerBytes)
  const [start] = header.bodyStarts
  if (start === undefined || header.bodyStarts.length !== 1 || header.tooLarge) return
  if (!isPlain(header)) return
  const types = valuesOf(header.fields, 'content-type')
  if (types.length !== 1) return
  if (/^message\/rfc822\s*(;|$)/i.test(types[0] ?? '')) {
    collect(search, { from: start, to }, depth + 1)
    return
  }
  const boundary = boundaryOf(types[0] ?? '')
  if (boundary === undefined) return
  for (const span of partsOf(search, { from: start, to }, boundary) ?? []) {
    spans.set(span.from, span)
    collect(search, span, depth + 1)
  }
}

function isPlain({ fields }: HeaderSection): boolean {
  const encodings = valuesOf(fields, 'content-transfer-encoding')
  return encodings.length <= 1 && encodings.every(encoding => PLAIN_ENCODING.test(encoding))
}

/** One that can be read in one way only. */
function boundaryOf(type: string): string | undefined {
  if (!MULTIPART.test(type) || type.includes('(') || type.match(/boundary/gi)?.length !== 1)
    return undefined
  const [match] = [...type.matchAll(BOUNDARY)]
  const boundary = match?.[1] ?? match?.[2]
  return boundary?.trimEnd() === boundary ? boundary : undefined
}

/** Undefined where the last delimiter is missing. */
function partsOf({ octets, delimiters }: Search, { from, to }: Span, boundary: string) {
  const parts: Span[] = []
  let opened: number | undefined
  for (let i = delimiters.after(from); i < delimiters.count && delimiters.start(i) < to; i++) {
    const at = delimiters.start(i)
    const next = delimiters.next(i)
    const line = octets.slice(at, Math.min(next, at + LINE_BYTES)).toString('latin1')
    const text = line.replace(/\r\n$/, '').replace(/[ \t]+$/, '')
    if (text !== `--${boundary}` && text !== `--${boundary}--`) continue
    if (octets.slice(at - 2, at).toString('latin1') !== '\r\n') return undefined
    if (opened !== undefined && at - 2 >= opened) parts.push({ from: opened, to: at - 2 })
    if (text.endsWith(`${boundary}--`)) return parts
    opened = next
  }
  return undefined
}
