// Takes the files embedded in a PDF out of it: the engine does too, but reads mail and pages less forgivingly.
import { inflate } from './inflate.ts'
import { type Octets, WINDOW_BYTES } from './octets.ts'
import type { Piece, Session } from './session.ts'

const STREAM = /stream\r?\n/g
/** Of the dictionary before a stream. */
const DICTIONARY_BYTES = 1_024
const END = /\r?\n?endstream/
const FILES = 500

/** ISO 32000 §7.11.4; streams with other filters than Flate are left to the engine. */
export async function* openPdf(octets: Octets, session: Session): AsyncGenerator<Piece> {
  const { budget } = session
  let count = 0
  for (let at = 0; at < octets.sizeBytes && !budget.spent; at += WINDOW_BYTES) {
    await budget.breathe()
    const base = Math.max(0, at - DICTIONARY_BYTES)
    const text = octets.slice(base, at + WINDOW_BYTES + 8).toString('latin1')
    for (const { index, 0: word } of text.matchAll(STREAM)) {
      if (base + index < at || index - (at - base) >= WINDOW_BYTES) continue
      const dictionary = dictionaryOf(text.slice(Math.max(0, index - DICTIONARY_BYTES), index))
      if (!/\/EmbeddedFile\b/.test(dictionary)) continue
      if (++count > FILES) return budget.note('too-many')
      yield* openStream(
        octets.view(base + index + word.length, octets.sizeBytes),
        dictionary,
        session,
      )
    }
  }
}

/** After the object before it; with its names' escapes (§7.3.5) undone. */
const dictionaryOf = (before: string): string =>
  before
    .slice(before.lastIndexOf('endobj') + 1)
    .replace(/#([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

async function* openStream(
  data: Octets,
  dictionary: string,
  session: Session,
): AsyncGenerator<Piece> {
  if (/\/(?:FlateDecode|Fl)\b/.test(dictionary))
    yield { octets: await inflate(data.view(2, data.sizeBytes), 'raw', session), as: 'file' }
  else {
    const length = Number(/\/Length (\d{1,10})(?! \d+ R)/.exec(dictionary)?.[1] ?? Number.NaN)
    const end = Number.isNaN(length)
      ? END.exec(data.slice(0, session.budget.limits.memoryBytes).toString('latin1'))?.index
      : length
    yield { octets: data.view(0, end ?? data.sizeBytes), as: 'file' }
  }
}
