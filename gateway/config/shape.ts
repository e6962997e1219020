// Holds the file's values against the declared settings: what doesn't fit becomes a fault with its mend.
import type { z } from 'zod'
import type { Findings, Path } from './faults.ts'
import { configJsonSchema, type JsonSchema, keysAt, schemasAt } from './json-schema.ts'
import { nearestName } from './nearest.ts'
import { isRecord, valueAt } from './parse.ts'
import { configSchema } from './schema.ts'

type Issue = z.core.$ZodIssue
export type Settings = z.infer<typeof configSchema>

/** Keys that are part of the plan but do nothing yet, by the place where they would stand. */
const NOT_YET: Record<string, string> = {
  'directory.*.sql': 'use `ldap` or `file`',
  'directory.*.callForward': 'use `ldap` or `file`',
  'scanners.authentication': 'use `rspamd`, which also checks SPF and DKIM',
}

/** Rounds of taking out what is wrong and looking again; each removes something. */
const ROUNDS = 100

/**
 * Tells all that doesn't fit. Answers the settings that do, with defaults filled in; a part that is wrong
 * is left out, so that the rest can still be judged in the same run.
 */
export function settingsThatFit(
  value: Record<string, unknown>,
  written: unknown,
  findings: Findings,
): Partial<Settings> {
  const first = configSchema.safeParse(value)
  if (first.success) return first.data
  const root = configJsonSchema()
  const rest = structuredClone(value)
  const fitting: Record<string, unknown> = {}
  const context: Context = { root, value, written, findings, missing: [], meant: new Set() }
  for (const issue of first.error.issues) tell(issue, [], context)
  for (const path of context.missing) tellMissing(path, context)
  for (const [key, schema] of Object.entries(configSchema.shape)) {
    for (let round = 0; round < ROUNDS; round++) {
      const result = schema.safeParse(rest[key])
      if (result.success) {
        fitting[key] = result.data
        break
      }
      // Nothing to take out any more: a setting that must be there is missing, and was told above.
      if (rest[key] === undefined) break
      for (const issue of result.error.issues) takeOut(rest, [key, ...issue.path], issue)
    }
  }
  return fitting as Partial<Settings>
}

function takeOut(root: Record<string, unknown>, path: PropertyKey[], issue: Issue): void {
  const steps = path.map(step => (typeof step === 'symbol' ? String(step) : step))
  if (issue.code === 'unrecognized_keys') {
    const holder = valueAt(root, steps)
    if (isRecord(holder)) for (const key of issue.keys) delete holder[key]
    return
  }
  // A missing setting takes what it is missing from along.
  while (steps.length > 1 && valueAt(root, steps) === undefined) steps.pop()
  const holder = valueAt(root, steps.slice(0, -1))
  const last = steps.at(-1)
  if (Array.isArray(holder)) holder.splice(Number(last), 1)
  else if (isRecord(holder)) delete holder[String(last)]
}

type Context = {
  root: JsonSchema
  value: unknown
  written: unknown
  findings: Findings
  /** Told last: a key that is only misspelt is not missing. */
  missing: Path[]
  /** Dotted paths that were offered in place of unknown keys. */
  meant: Set<string>
}

function tell(issue: Issue, before: Path, context: Context): void {
  const steps = issue.path.map(step => (typeof step === 'symbol' ? String(step) : step))
  const path = [...before, ...steps]
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) tellUnknown(path, key, context)
    return
  }
  if (valueAt(context.value, path) === undefined) context.missing.push(path)
  else if (issue.code === 'invalid_union') tellUnion(issue, path, context)
  else context.findings.fault(path, problemOf(issue, path, context), mendOf(issue, path, context))
}

function tellUnknown(path: Path, key: string, { root, findings, meant }: Context): void {
  const later = Object.entries(NOT_YET).find(([place]) => matches(place, [...path, key]))
  if (later) {
    findings.faultAtKey([...path, key], `\`${key}\` is not there yet in this version`, later[1])
    return
  }
  const known = keysAt(root, path)
  const nearest = nearestName(key, known)
  if (nearest) meant.add([...path, nearest].join('.'))
  const mend = nearest ? `write \`${nearest}\`` : `remove it; known here: ${known.join(', ')}`
  findings.faultAtKey([...path, key], `unknown key \`${key}\``, mend)
}

const matches = (place: string, path: Path): boolean => {
  const steps = place.split('.')
  return steps.length === path.length && steps.every((s, i) => s === '*' || s === path[i])
}

/** Tells the faults of the form that was most likely meant: the one whose own keys fit best. */
function tellUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Path,
  context: Context,
): void {
  const inside = issue.errors.filter(issues => !issues.some(isWrongKind))
  const unknownKeys = (issues: Issue[]) =>
    issues.reduce(
      (sum, i) => sum + (i.code === 'unrecognized_keys' && i.path.length === 0 ? i.keys.length : 0),
      0,
    )
  const [meant, second] = inside.toSorted(
    (a, b) => unknownKeys(a) - unknownKeys(b) || a.length - b.length,
  )
  if (!meant) {
    const mend = mendOf(issue, path, context)
    context.findings.fault(path, `${shown(context, path)} is not understood here`, mend)
    return
  }
  const undecided = second !== undefined && unknownKeys(second) === unknownKeys(meant)
  for (const found of meant) {
    // Where no form fits, what is missing from one of them says nothing.
    if (undecided && found.code === 'invalid_type' && unknownKeys(meant) > 0) continue
    tell(found, path, context)
  }
}

const isWrongKind = (issue: Issue): boolean =>
  issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value')

function tellMissing(path: Path, { root, findings, meant }: Context): void {
  if (meant.has(path.join('.'))) return
  const key = String(path.at(-1))
  const description = schemasAt(root, path).find(s => s.description)?.description
  const mend = `add \`${key}:\`${description ? ` (${description})` : ''}`
  findings.fault(path, `\`${key}\` is missing`, mend)
}

/** A value as written in the file, unless it may be a secret. */
export function shown(context: { written: unknown }, path: Path): string {
  const key = String(path.findLast(step => typeof step === 'string') ?? '')
  if (/password|secret|token/i.test(key) && !/file$/i.test(key)) return `\`${key}\``
  const value = valueAt(context.written, path)
  if (value === null || value === undefined) return 'an empty value'
  if (Array.isArray(value)) return 'a list'
  if (isRecord(value)) return 'a map'
  // The part of a URL before its @ may hold a password.
  const text = String(value).replace(/\/\/\S*@/, '//…@')
  return `\`${text.length > 80 ? `${text.slice(0, 80)}…` : text}\``
}

function problemOf(issue: Issue, path: Path, context: Context): string {
  const value = shown(context, path)
  switch (issue.code) {
    case 'custom':
      return `${value}${issue.params?.mend === undefined ? ':' : ''} ${issue.message}`
    case 'too_big':
    case 'too_small':
      return issue.origin === 'array' || issue.origin === 'string'
        ? `${value} is too ${issue.code === 'too_big' ? 'long' : 'short'}`
        : `${value} is out of range`
    default:
      return `${value} is not understood here`
  }
}

function mendOf(issue: Issue, path: Path, context: Context): string {
  const description = schemasAt(context.root, path).find(s => s.description)?.description
  const why = description ? ` (${description})` : ''
  const value = valueAt(context.value, path)
  switch (issue.code) {
    case 'custom':
      return String(issue.params?.mend ?? `write it otherwise${why}`)
    case 'invalid_value': {
      const meant = typeof value === 'string' && nearestName(value, issue.values.map(String))
      if (meant) return `write \`${meant}\`, one of: ${issue.values.join(', ')}`
      return `write one of: ${issue.values.join(', ')}${why}`
    }
    case 'too_small':
      return `write ${issue.minimum} or more${why}`
    case 'too_big':
      return `write ${issue.maximum} or ${issue.origin === 'array' ? 'fewer' : 'less'}${why}`
    case 'invalid_type':
      if (issue.expected === 'string' && typeof value !== 'object') {
        return `put the value in quotes${why}`
      }
      return `write ${KINDS[issue.expected] ?? issue.expected}${why}`
    case 'invalid_union': {
      const forms = schemasAt(context.root, path).flatMap(formsOf)
      return `write ${[...new Set(forms)].join(' or ')}${why}`
    }
    default:
      return `write what is described${why}`
  }
}

const KINDS: Record<string, string> = {
  object: 'a map of settings',
  record: 'a map',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  integer: 'a whole number',
  boolean: '`true` or `false`',
}

function formsOf(schema: JsonSchema): string[] {
  if (schema.anyOf) return schema.anyOf.flatMap(formsOf)
  if (schema.const !== undefined) return [`\`${schema.const}\``]
  const types = [schema.type].flat().filter(type => typeof type === 'string')
  return types.map(type => KINDS[type] ?? type)
}
