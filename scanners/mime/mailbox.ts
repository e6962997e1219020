// Finds messages that start inside a text: behind an mbox's From lines, or behind blank lines and byte order marks.
import { createRoom, type Octets, WINDOW_BYTES } from './octets.ts'
import type { Piece, Session } from './session.ts'

const MESSAGES = 1_000
const FROM_LINE = /^>?From [^\r\n]{1,500}\r?\n(?=[\x21-\x39\x3b-\x7e]{2,80}:)/gm
const FROM = Buffer.from('From ')
/** Fields that mail starts with: almost any text has a word and a colon in its first line. */
const LEADING =
  /^(?:\xef\xbb\xbf|[\s\0])+(?=(?:received|return-path|delivered-to|from|to|cc|subject|date|message-id|mime-version|reply-to|sender|content-[a-z-]{1,30}|x-[\w-]{1,60}|dkim-signature|arc-[a-z-]{1,30}|authentication-results)[ \t]*:)/i
const OVERLAP_BYTES = 1_024

/** RFC 4155: each message ends where the next begins. */
export async function* openMailbox(octets: Octets, { budget }: Session): AsyncGenerator<Piece> {
  const isLed = /^[\xef\s\0]/.test(octets.slice(0, 1).toString('latin1'))
  const lead = isLed && LEADING.exec(octets.slice(0, WINDOW_BYTES).toString('latin1'))?.[0].length
  if (lead) yield { octets: octets.view(lead, octets.sizeBytes), as: 'message' }
  const room = createRoom()
  let from = -1
  let count = 0
  for (let at = 0; at < octets.sizeBytes; at += WINDOW_BYTES) {
    await budget.breathe()
    const base = Math.max(0, at - 1)
    const window = octets.slice(base, at + WINDOW_BYTES + OVERLAP_BYTES, room)
    if (!window.includes(FROM)) continue
    for (const { index, 0: line } of window.toString('latin1').matchAll(FROM_LINE)) {
      const start = base + index
      if ((index === 0 && base > 0) || index >= WINDOW_BYTES || start < from) continue
      if (from >= 0) yield { octets: octets.view(from, start), as: 'message' }
      from = start + line.length
      if (++count > MESSAGES) return budget.stop('too-many')
    }
  }
  if (from >= 0) yield { octets: octets.view(from, octets.sizeBytes), as: 'message' }
}
