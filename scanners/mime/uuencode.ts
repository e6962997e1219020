// Decodes uuencode and yEnc, which many programs open wherever they stand in a text.
import type { Budget } from './limits.ts'
import { linesOf } from './lines.ts'
import type { Octets, Scratch } from './octets.ts'

export type Decoded = { octets: Octets; end: number }

/** Lines that are none of uuencode's, one after the other, after which the file is over. */
const ODD_LINES = 3

/** From the line after `begin`. By each line's own count, or (`whole`) by its length where the count is a lie. */
export async function decodeUuencode(
  octets: Octets,
  from: number,
  whole: boolean,
  scratch: Scratch,
  budget: Budget,
): Promise<Decoded> {
  const sink = scratch.sink(budget)
  let end = from
  let odd = 0
  for (const line of linesOf(octets, from)) {
    await budget.breathe()
    const text = line.octets
    if (/^end\s*$/i.test(text.toString('latin1', 0, 8))) {
      end = line.next
      break
    }
    const count = ((text[0] ?? 0x20) - 0x20) & 63
    const isLine = text.length > 1 && text.every(octet => octet >= 0x20 && octet <= 0x60)
    if (!isLine && text.length > 1) {
      if (++odd >= ODD_LINES) break
      continue
    }
    odd = 0
    end = line.next
    const most = Math.floor(((text.length - 1) * 3) / 4)
    const groups = uuGroups(text.subarray(1))
    if (!sink.write(groups.subarray(0, whole ? most : count))) break
  }
  return { octets: sink.finish(), end }
}

function uuGroups(text: Buffer): Buffer {
  const out = Buffer.alloc(Math.ceil(text.length / 4) * 3)
  const bits = (i: number): number => ((text[i] ?? 0x20) - 0x20) & 63
  let count = 0
  for (let i = 0; i < text.length; i += 4) {
    const group = (bits(i) << 18) | (bits(i + 1) << 12) | (bits(i + 2) << 6) | bits(i + 3)
    out[count++] = group >> 16
    out[count++] = group >> 8
    out[count++] = group
  }
  return out
}

/** From the line after `=ybegin`. */
export async function decodeYenc(
  octets: Octets,
  from: number,
  scratch: Scratch,
  budget: Budget,
): Promise<Decoded> {
  const sink = scratch.sink(budget)
  let end = from
  for (const line of linesOf(octets, from)) {
    await budget.breathe()
    end = line.next
    const command = line.octets.toString('latin1', 0, 6)
    if (command.startsWith('=yend')) break
    if (command.startsWith('=ypart')) continue
    if (!sink.write(yencLine(line.octets))) break
  }
  return { octets: sink.finish(), end }
}

function yencLine(line: Buffer): Buffer {
  const out = Buffer.alloc(line.length)
  let count = 0
  for (let i = 0; i < line.length; i++) {
    const escaped = line[i] === 0x3d && i + 1 < line.length
    if (escaped) i++
    out[count++] = ((line[i] ?? 0) - (escaped ? 106 : 42)) & 255
  }
  return out.subarray(0, count)
}
