// Turns the octets of a name into text in each way that some mail program would: charset, encoded-word, percent sign.

/** Octets (as Latin-1) read as the charset says; as Latin-1 where nobody knows that charset. */
export function inCharset(octets: string, charset: string): string {
  const label = charset.trim().toLowerCase()
  if (/^(unicode-1-1-)?utf-?7$/.test(label)) return fromUtf7(octets)
  try {
    return new TextDecoder(label).decode(Buffer.from(octets, 'latin1'))
  } catch {
    return octets
  }
}

/** RFC 2152, which only old programs still read. */
const fromUtf7 = (octets: string): string =>
  octets.replace(/\+([A-Za-z0-9+/]{0,400})-?/g, (_, letters: string) => {
    if (letters === '') return '+'
    const wide = Buffer.from(letters, 'base64')
    return wide
      .subarray(0, wide.length & ~1)
      .swap16()
      .toString('utf16le')
  })

/** Raw octets above 127 are UTF-8 where they can be (RFC 6532), and Latin-1 otherwise. */
export function fromRaw(octets: string): string {
  if (!/[\x80-\xff]/.test(octets)) return octets
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(octets, 'latin1'))
  } catch {
    return octets
  }
}

export const percentDecoded = (text: string): string =>
  text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )

const WORD = /=\?([^?\s]{1,60})\?([bq])\?([^?]{0,2000})\?=/gi

/**
 * RFC 2047, also where it is not allowed (within quotes) or not well-formed (with spaces inside, not at the
 * border of a word). Words next to each other are one, and so are the octets of a letter broken over two.
 */
export function encodedWordsDecoded(text: string): string {
  let result = ''
  let at = 0
  let pending: { charset: string; octets: string } | undefined
  const flush = (): void => {
    if (pending) result += inCharset(pending.octets, pending.charset)
    pending = undefined
  }
  for (const match of text.matchAll(WORD)) {
    const [whole, label = '', how = '', payload = ''] = match
    const between = text.slice(at, match.index)
    // RFC 2231 §5: a language may follow the charset.
    const charset = label.replace(/\*.*/, '')
    const octets = how.toLowerCase() === 'b' ? fromBase64(payload) : fromQ(payload)
    if (pending && /^\s*$/.test(between) && pending.charset === charset) pending.octets += octets
    else {
      flush()
      result += between.trim() === '' && at > 0 ? '' : between
      pending = { charset, octets }
    }
    at = match.index + whole.length
  }
  flush()
  return result + text.slice(at)
}

const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString('latin1')

const fromQ = (text: string): string =>
  text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
