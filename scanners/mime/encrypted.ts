// Notes what only its addressee can read: encrypted mail and documents, and archives that need a password.
import type { Octets } from './octets.ts'
import type { Session } from './session.ts'

const PROBE_BYTES = 64
const ENVELOPED_DATA = Buffer.from('06092a864886f70d010703', 'hex')
const AUTH_ENVELOPED_DATA = Buffer.from('060b2a864886f70d0109100117', 'hex')
/** OLE2's storages are named in UTF-16; Office keeps an encrypted document under this one ([MS-OFFCRYPTO] §2.3.4). */
const OLE2 = Buffer.from('d0cf11e0a1b11ae1', 'hex')
const PACKAGE = Buffer.from('EncryptedPackage', 'utf16le')
const SEARCH_BYTES = 1024 * 1024
/** RFC 9580 §9.1. */
const PUBLIC_KEY_ALGORITHMS = new Set([1, 2, 16, 18, 25, 26])
const [PUBLIC_KEY_SESSION, PASSWORD_SESSION] = [1, 3]
const PACKET_BYTES = 8_192

export function noteEncrypted(octets: Octets, { budget }: Session): void {
  const head = octets.slice(0, PROBE_BYTES)
  if (isEncryptedPgp(head)) budget.note('encrypted-mail')
  if (head[0] === 0x30 && (head.includes(ENVELOPED_DATA) || head.includes(AUTH_ENVELOPED_DATA)))
    budget.note('encrypted-mail')
  if (head.indexOf(OLE2) === 0 && holdsPackage(octets)) budget.note('encrypted-document')
}

function holdsPackage(octets: Octets): boolean {
  for (const from of [0, Math.max(0, octets.sizeBytes - SEARCH_BYTES)])
    if (octets.slice(from, from + SEARCH_BYTES).includes(PACKAGE)) return true
  return false
}

/**
 * RFC 9580 §4.2: a first packet with a session key for a recipient or a password, whose length, version and
 * algorithm are what they must be: files of other types begin with the same octet.
 */
function isEncryptedPgp(head: Buffer): boolean {
  const packet = packetAt(head)
  if (!packet || packet.sizeBytes > PACKET_BYTES || packet.from + 10 > head.length) return false
  const [version = 0, second = 0] = head.subarray(packet.from)
  if (packet.tag === PUBLIC_KEY_SESSION) {
    // Version 6 names the key by its fingerprint, whose length comes first.
    const algorithm = head[packet.from + (version === 6 ? 2 + second : 9)] ?? 0
    return (version === 3 || version === 6) && PUBLIC_KEY_ALGORITHMS.has(algorithm)
  }
  if (packet.tag !== PASSWORD_SESSION || second < 1 || second > 13) return false
  return version >= 4 && version <= 6 && packet.sizeBytes < 256
}

function packetAt(head: Buffer): { tag: number; from: number; sizeBytes: number } | undefined {
  const [first = 0, length = 0] = head
  if ((first & 0x80) === 0 || head.length < 8) return undefined
  if ((first & 0x40) !== 0) {
    const tag = first & 0x3f
    if (length < 192) return { tag, from: 2, sizeBytes: length }
    if (length < 224) return { tag, from: 3, sizeBytes: head.readUInt16BE(1) - 0xc000 + 192 }
    return length === 255 ? { tag, from: 6, sizeBytes: head.readUInt32BE(2) } : undefined
  }
  const tag = (first >> 2) & 0x0f
  const lengthBytes = [1, 2, 4][first & 3]
  if (lengthBytes === undefined) return undefined
  return { tag, from: 1 + lengthBytes, sizeBytes: head.readUIntBE(1, lengthBytes) }
}
