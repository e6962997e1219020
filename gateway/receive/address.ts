// The grammar of mailboxes and paths (RFC 5321 §4.1.2, RFC 6531 §3.3), over the octets received; nothing is rewritten.
import { isIPv4, isIPv6 } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'

/** RFC 5321 §4.5.3.1.3: 256 octets with the angle brackets. No limit of its own for the local part: VERP and SRS need more. */
const PATH_OCTETS = 254
/** RFC 5321 §4.5.3.1.2, RFC 1035 §2.3.4. */
const DOMAIN_OCTETS = 253

/** A mailbox as it was written, split at the last @ outside quotes. */
export type Mailbox = {
  /** Byte-equal to what the client sent, without source route and brackets. */
  address: string
  localPart: string
  /** Lower case, A-labels, or a lower-case address literal in its brackets. */
  domain: string
  /** Any octet above 127: needs SMTPUTF8. */
  international: boolean
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of valid UTF-8, undefined for anything else (overlong forms, surrogates, stray octets). */
export function decodeUtf8(octets: Uint8Array): string | undefined {
  try {
    return utf8.decode(octets)
  } catch {
    return undefined
  }
}

const ATOM =
  /^[a-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+)*$/iu
const QUOTED = /^"([ !#-[\]-~\u0080-\u{10ffff}]|\\[ -~])*"$/u
// Controls, invisible characters and noncharacters: they only ever disguise an address.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b\u2028\u2029\u2060\ufeff\ufffd\ufffe\uffff]/
const ASCII = /^[\u0000-\u007f]*$/
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** Lower case and A-labels, undefined where it is no domain name. Also for the keys of `domains` in the configuration. */
export function normalizeDomain(domain: string): string | undefined {
  // Only A-Z: other letters' lower case may be another name altogether (U+212A, the Kelvin sign).
  const lower = domain.replace(/[A-Z]+/g, letters => letters.toLowerCase())
  const literal = addressLiteral(lower)
  if (literal !== undefined) return literal
  // domainToASCII would turn 0x7f.1 into an address: it only sees names with U-labels.
  const ascii = ASCII.test(lower) ? lower : domainToASCII(lower)
  // What IDNA maps onto another name (full-width letters, ligatures) is not a U-label (RFC 5890 §2.3.2.1).
  if (ascii !== lower && domainToUnicode(ascii) !== lower) return undefined
  if (ascii.length === 0 || ascii.length > DOMAIN_OCTETS) return undefined
  return ascii.split('.').every(label => LABEL.test(label)) ? ascii : undefined
}

/** RFC 5321 §4.1.3. */
function addressLiteral(domain: string): string | undefined {
  if (!domain.startsWith('[') || !domain.endsWith(']')) return undefined
  const inner = domain.slice(1, -1)
  const valid = inner.startsWith('ipv6:') ? isIPv6(inner.slice(5)) : isIPv4(inner)
  return valid && !inner.includes('%') ? domain : undefined
}

/** Parses what stands between the angle brackets, a source route already removed. */
export function parseMailbox(text: string): Mailbox | undefined {
  if (Buffer.byteLength(text) > PATH_OCTETS || UNSAFE.test(text)) return undefined
  // An @ within quotes is always followed by the closing quote, and domains have none: the last one counts.
  const at = text.lastIndexOf('@')
  if (at < 1) return undefined
  const localPart = text.slice(0, at)
  if (!(localPart.startsWith('"') ? QUOTED : ATOM).test(localPart)) return undefined
  const domain = normalizeDomain(text.slice(at + 1))
  if (domain === undefined) return undefined
  return { address: text, localPart, domain, international: !ASCII.test(text) }
}

/** RFC 5321 §4.1.2 (A-d-l) and appendix C: accepted, and ignored. */
const SOURCE_ROUTE = /^@[^\s",:@<>]+(,@[^\s",:@<>]+)*:/

export const withoutSourceRoute = (path: string): string => path.replace(SOURCE_ROUTE, '')

/** Whether the local part could make a next hop send the mail on elsewhere: %-hack, bang path, a quoted @. */
export const asksForRouting = (mailbox: Mailbox): boolean => /[%!@]/.test(mailbox.localPart)
