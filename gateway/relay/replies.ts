// Reads a next hop's replies off the wire; only a complete, well-formed one counts as an answer.

/** `code` is 0 where the reply isn't one by RFC 5321 §4.2. `text` is one printable line, cut at 500 characters. */
export type ServerReply = { code: number; enhanced?: string; text: string }

const LONGEST_TEXT = 500
/** Octets of one reply line or one multi-line reply; nodemailer closes the connection beyond it. */
export const LARGEST_REPLY = 65_536

export function parseReply(lines: readonly string[]): ServerReply {
  const code = Number(/^([2-5]\d\d)(?:[ -]|$)/.exec(lines.at(-1) ?? '')?.[1] ?? 0)
  const same = lines.every(line => line.startsWith(String(code)))
  const words = lines.map(line => line.replace(/^\d{3}[ -]?/, ''))
  const text = (code !== 0 && same ? `${code} ${words.join(' ')}` : lines.join(' '))
    .replace(/[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]+/g, ' ')
    .trim()
    .slice(0, LONGEST_TEXT)
  if (code === 0 || !same) return { code: 0, text }
  const enhanced = /^([245]\.\d{1,3}\.\d{1,3})(?:\s|$)/.exec(words.at(-1) ?? '')?.[1]
  // RFC 3463 §2: the class repeats the reply's first digit; one that doesn't is not to be believed.
  const believed = enhanced !== undefined && enhanced[0] === String(code)[0]
  return believed ? { code, enhanced, text } : { code, text }
}

/** A function to feed octets to; calls `onReply` for each complete reply, never for a cut-off one. */
export function createReplyReader(onReply: (reply: ServerReply) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  let lines: string[] = []
  let size = 0
  return chunk => {
    if (size > LARGEST_REPLY) return
    let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (;;) {
      const newline = data.indexOf(0x0a)
      if (newline < 0) break
      const line = data.toString('utf8', 0, newline).replace(/\r$/, '')
      data = data.subarray(newline + 1)
      size += newline
      if (line.trim() === '') continue
      lines.push(line)
      // Continuation lines as nodemailer sees them, so that both count the same replies.
      if (/^\d+-/.test(line)) continue
      const reply = parseReply(lines)
      lines = []
      size = 0
      onReply(reply)
    }
    rest = data
    if (rest.length > LARGEST_REPLY) size = Number.POSITIVE_INFINITY
  }
}
