// Opens the objects in RTF: hexadecimal digits behind \objdata, with all that Word overlooks between them.
import { inMemory, type Octets } from './octets.ts'
import type { Piece, Session } from './session.ts'

const RTF_BYTES = 32 * 1024 * 1024
/** \objdata is a word of the control language; \object and pictures may be written the same way. */
const DATA = /\\(?:objdata|pict|datastore|themedata)\b/gi
const OLE1_EMBEDDED = 2
const NAMES = 3

export async function* openRtf(octets: Octets, { budget }: Session): AsyncGenerator<Piece> {
  const text = octets.slice(0, Math.min(octets.sizeBytes, RTF_BYTES)).toString('latin1')
  let over = 0
  for (const { index } of text.matchAll(DATA)) {
    if (index < over || budget.spent) continue
    await budget.breathe()
    over = groupEnd(text, index)
    const group = text.slice(index, over)
    const flat = group.replace(/\\'[0-9a-f]{2}|\\[a-z]{1,32}-?\d{0,10} ?|\\[^a-z]/gi, '')
    const inner = flat.replace(/\{[^{}]{0,65536}\}/g, '')
    for (const digits of new Set([flat, inner])) {
      const data = Buffer.from(digits.replace(/[^0-9a-f]/gi, ''), 'hex')
      yield { octets: inMemory(data), as: 'file' }
      const native = nativeData(data)
      if (native) yield { octets: inMemory(native), as: 'file' }
    }
  }
}

function groupEnd(text: string, from: number): number {
  let depth = 0
  for (let i = from; i < text.length; i++) {
    const letter = text[i]
    if (letter === '\\') i++
    else if (letter === '{') depth++
    else if (letter === '}' && --depth < 0) return i
  }
  return text.length
}

/** [MS-OLEDS] §2.2.5: version, kind, three names each with its length, and then the data with its own. */
function nativeData(object: Buffer): Buffer | undefined {
  if (object.length < 24 || object.readUInt32LE(4) !== OLE1_EMBEDDED) return undefined
  let at = 8
  for (let i = 0; i < NAMES; i++) {
    if (at + 4 > object.length) return undefined
    at += 4 + object.readUInt32LE(at)
  }
  return at + 4 < object.length ? object.subarray(at + 4) : undefined
}
