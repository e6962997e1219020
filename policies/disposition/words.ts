// Makes text that came from outside fit for a log line or a header field.

const WORDS_LIMIT = 300
/** RFC 5322 §2.1.1, without CRLF. */
const FIELD_LIMIT = 998

/** Printable ASCII on one line, at most `limit` characters. */
export const words = (text: string, limit = WORDS_LIMIT): string =>
  text
    .replace(/[^\x21-\x7e]+/g, ' ')
    .trim()
    .slice(0, limit)

/** One header field, `Name: value`; values too long are cut. */
export const field = (name: string, value: string): string =>
  `${name}: ${words(value, FIELD_LIMIT - name.length - 2)}`
