// Reads an RFC 4515 filter with placeholders once, and fills it per lookup as objects: values are never parsed again.
import type { Filter } from 'ldapjs'
import { splitAddress } from './address.ts'

type Ldapjs = typeof import('ldapjs')

/** Literal text, or `%a`, `%u`, `%d`. */
type Part = { text: string } | { place: 'a' | 'u' | 'd' }
type Value = Part[]

export type FilterTemplate =
  | { kind: 'and' | 'or'; clauses: FilterTemplate[] }
  | { kind: 'not'; clause: FilterTemplate }
  | { kind: 'present'; attribute: string }
  | { kind: 'equal' | 'atLeast' | 'atMost' | 'approximate'; attribute: string; value: Value }
  | { kind: 'substring'; attribute: string; pieces: Value[] }
  | {
      kind: 'extensible'
      attribute: string | undefined
      rule: string | undefined
      dn: boolean
      value: Value
    }

const LIMITS = { length: 8192, depth: 32 }
const ATTRIBUTE = /^(?:[a-z][a-z0-9-]*|\d+(?:\.\d+)+)(?:;[a-z0-9-]+)*$/i
const EXTENSIBLE = /^([^:]*)(:dn)?(?::([^:]+))?:$/i

/** A filter that is not RFC 4515; `message` says what to mend. */
export class FilterError extends Error {}

/** Reads a filter. Throws FilterError, with the position, on anything but a complete RFC 4515 filter. */
export function parseFilter(source: string): FilterTemplate {
  if (source.length > LIMITS.length)
    throw new FilterError(`longer than ${LIMITS.length} characters`)
  const [filter, end] = readFilter(source, skipSpace(source, 0), 0)
  const rest = skipSpace(source, end)
  if (rest < source.length) {
    throw new FilterError(`unexpected "${source.slice(rest, rest + 10)}" at ${rest + 1}`)
  }
  return filter
}

const skipSpace = (source: string, at: number): number => {
  while (/\s/.test(source[at] ?? '')) at++
  return at
}

function readFilter(source: string, at: number, depth: number): [FilterTemplate, number] {
  if (depth > LIMITS.depth) throw new FilterError(`nested deeper than ${LIMITS.depth}`)
  if (source[at] !== '(') throw new FilterError(`"(" expected at ${at + 1}`)
  const operator = source[at + 1]
  if (operator === '&' || operator === '|') {
    const clauses: FilterTemplate[] = []
    let next = skipSpace(source, at + 2)
    while (source[next] === '(') {
      const [clause, end] = readFilter(source, next, depth + 1)
      clauses.push(clause)
      next = skipSpace(source, end)
    }
    if (clauses.length === 0) throw new FilterError(`nothing inside "(${operator}" at ${at + 1}`)
    return [{ kind: operator === '&' ? 'and' : 'or', clauses }, close(source, next)]
  }
  if (operator === '!') {
    const [clause, end] = readFilter(source, skipSpace(source, at + 2), depth + 1)
    return [{ kind: 'not', clause }, close(source, skipSpace(source, end))]
  }
  const end = source.indexOf(')', at)
  return [readItem(source.slice(at + 1, end < 0 ? undefined : end), at), close(source, end)]
}

function close(source: string, at: number): number {
  if (at < 0 || source[at] !== ')') throw new FilterError(`")" expected at ${Math.max(at, 0) + 1}`)
  return at + 1
}

function readItem(item: string, at: number): FilterTemplate {
  const equals = item.indexOf('=')
  if (equals < 1) throw new FilterError(`"attribute=value" expected at ${at + 2}`)
  const text = item.slice(equals + 1)
  const left = item.slice(0, equals)
  if (left.endsWith(':')) return readExtensible(left, text, at)
  const comparison = ({ '>': 'atLeast', '<': 'atMost', '~': 'approximate' } as const)[
    left.slice(-1)
  ]
  const attribute = comparison ? left.slice(0, -1) : left
  if (!ATTRIBUTE.test(attribute)) {
    throw new FilterError(`"${attribute}" at ${at + 2} is not an attribute`)
  }
  if (comparison) return { kind: comparison, attribute, value: readValue(text, at) }
  if (text === '*') return { kind: 'present', attribute }
  if (!text.includes('*')) return { kind: 'equal', attribute, value: readValue(text, at) }
  const pieces = text.split('*')
  if (pieces.slice(1, -1).some(piece => piece === '')) {
    throw new FilterError(`"**" at ${at + 2} has nothing between its stars`)
  }
  const values = pieces.map(piece => (piece === '' ? [] : readValue(piece, at)))
  return { kind: 'substring', attribute, pieces: values }
}

function readExtensible(left: string, text: string, at: number): FilterTemplate {
  const [, attribute, dn, rule] = EXTENSIBLE.exec(left) ?? []
  if (attribute === undefined || (attribute !== '' && !ATTRIBUTE.test(attribute))) {
    throw new FilterError(`"${left}=" at ${at + 2} is not an extensible match`)
  }
  if (attribute === '' && rule === undefined) {
    throw new FilterError(`"${left}=" at ${at + 2} names neither attribute nor rule`)
  }
  const value = readValue(text, at)
  return {
    kind: 'extensible',
    attribute: attribute === '' ? undefined : attribute,
    rule,
    dn: dn !== undefined,
    value,
  }
}

/** RFC 4515 §3: `\2a` is one octet; the octets together are UTF-8. `%%` is a percent sign. */
function readValue(text: string, at: number): Value {
  if (text === '') throw new FilterError(`no value at ${at + 2}`)
  if (text.includes('(')) throw new FilterError(`"(" in the value at ${at + 2}: write \\28`)
  const parts: Part[] = []
  for (const piece of text.split(/(%.?)/su)) {
    if (piece === '') continue
    if (!piece.startsWith('%')) parts.push({ text: decode(piece, at) })
    else if (piece === '%%') parts.push({ text: '%' })
    else if (piece === '%a' || piece === '%u' || piece === '%d') {
      parts.push({ place: piece === '%a' ? 'a' : piece === '%u' ? 'u' : 'd' })
    } else {
      throw new FilterError(`"${piece}" at ${at + 2}: write %a, %u, %d, or %% for a percent sign`)
    }
  }
  return parts
}

function decode(text: string, at: number): string {
  const octets: Buffer[] = []
  for (const piece of text.split(/(\\.{0,2})/su)) {
    if (!piece.startsWith('\\')) octets.push(Buffer.from(piece))
    else if (/^\\[0-9a-f]{2}$/i.test(piece)) octets.push(Buffer.from(piece.slice(1), 'hex'))
    else throw new FilterError(`"${piece}" at ${at + 2}: write a backslash and two hex digits`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(octets))
  } catch {
    throw new FilterError(`the octets at ${at + 2} are not UTF-8`)
  }
}

/** The filter for one address, as objects; special characters in the address mean nothing in it. */
export function fillFilter(ldapjs: Ldapjs, template: FilterTemplate, address: string): Filter {
  const { local, domain } = splitAddress(address)
  const places = { a: address, u: local, d: domain }
  const fill = (value: Value) =>
    value.map(part => ('text' in part ? part.text : places[part.place])).join('')
  const build = (t: FilterTemplate): Filter => {
    switch (t.kind) {
      case 'and':
        return new ldapjs.AndFilter({ filters: t.clauses.map(build) })
      case 'or':
        return new ldapjs.OrFilter({ filters: t.clauses.map(build) })
      case 'not':
        return new ldapjs.NotFilter({ filter: build(t.clause) })
      case 'present':
        return new ldapjs.PresenceFilter({ attribute: t.attribute })
      case 'extensible':
        return extensible(ldapjs, t, fill(t.value))
      case 'substring':
        return substring(ldapjs, t.attribute, t.pieces.map(fill))
      default:
        return compared(ldapjs, t.kind, t.attribute, fill(t.value))
    }
  }
  return build(template)
}

/** ldapjs refuses to make a comparison with an empty value, so `%d` of an address without a domain matches nothing. */
function compared(
  ldapjs: Ldapjs,
  kind: 'equal' | 'atLeast' | 'atMost' | 'approximate',
  attribute: string,
  value: string,
): Filter {
  if (value === '') return nothing(ldapjs)
  if (kind === 'equal') return new ldapjs.EqualityFilter({ attribute, value })
  if (kind === 'atLeast') return new ldapjs.GreaterThanEqualsFilter({ attribute, value })
  if (kind === 'atMost') return new ldapjs.LessThanEqualsFilter({ attribute, value })
  return new ldapjs.ApproximateFilter({ attribute, value })
}

const nothing = (ldapjs: Ldapjs): Filter =>
  new ldapjs.NotFilter({ filter: new ldapjs.PresenceFilter({ attribute: 'objectClass' }) })

function substring(ldapjs: Ldapjs, attribute: string, pieces: string[]): Filter {
  const [initial, final] = [pieces[0], pieces.at(-1)]
  const parts = { attribute, initial, any: pieces.slice(1, -1).filter(p => p !== ''), final }
  // The published types know only the deprecated names of these, which print a warning.
  return new (ldapjs.SubstringFilter as unknown as new (o: typeof parts) => Filter)(parts)
}

function extensible(
  ldapjs: Ldapjs,
  t: { attribute: string | undefined; rule: string | undefined; dn: boolean },
  value: string,
): Filter {
  const parts = { matchType: t.attribute, rule: t.rule, dnAttributes: t.dn, value }
  return new (ldapjs.ExtensibleFilter as unknown as new (o: typeof parts) => Filter)(parts)
}
