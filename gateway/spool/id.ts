// Message ids: sortable by time, unique across hosts, safe as file name, job id and in a reply.
import { randomBytes } from 'node:crypto'

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** `m`, 9 characters of milliseconds, 12 of randomness (60 bits): `m01kb3q7x9…`, 22 in all. */
export function newId(nowMs = Date.now()): string {
  let time = ''
  for (let rest = nowMs, i = 0; i < 9; i++) {
    time = ALPHABET[rest % 32] + time
    rest = Math.floor(rest / 32)
  }
  let random = ''
  for (const byte of randomBytes(12)) random += ALPHABET[byte & 31]
  return `m${time}${random}`
}

/** What `newId` and the notification of such an id look like; anything else is not ours. */
export const isId = (text: string): boolean => /^m[0-9a-z]{21}(-dsn\d{1,6})?$/.test(text)
