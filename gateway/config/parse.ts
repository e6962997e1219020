// Turns the file's text into plain values: strict YAML, `${NAME}` replaced from the environment.
import { type Document, LineCounter, parseDocument, visit } from 'yaml'
import { collectFindings, type Fault, type Findings, type Path, wholeFileFault } from './faults.ts'

/** A configuration is a page or two; ten thousand domains fit in this. */
const FILE_OCTETS = 4 * 1024 * 1024
/** How often anchors may be used, against documents that blow up when unfolded. */
const ALIASES = 1000
/** Levels of nesting; the deepest setting is at five. */
const DEPTH = 32

export type Parsed = {
  /** With `${NAME}` replaced. */
  value: Record<string, unknown>
  /** As written: what may be shown, since the environment may hold secrets. */
  written: Record<string, unknown>
  findings: Findings
}

/** Reads YAML 1.2: unique keys, no tags of one's own, one document. */
export function parseConfig(
  file: string,
  text: string,
  env: NodeJS.ProcessEnv,
): Parsed | { faults: Fault[] } {
  if (Buffer.byteLength(text) > FILE_OCTETS) {
    const problem = `is larger than ${FILE_OCTETS} octets`
    return { faults: [wholeFileFault(file, problem, 'put recipients into a file of their own')] }
  }
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    customTags: [],
    logLevel: 'error',
  })
  const syntax = syntaxFaults(file, document, lines)
  if (syntax.length > 0) return { faults: syntax }
  const findings = collectFindings(file, document, lines)
  let written: unknown
  try {
    written = document.toJS({ maxAliasCount: ALIASES })
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return { faults: [wholeFileFault(file, problem, 'write it out without so many aliases')] }
  }
  if (!isRecord(written)) {
    const mend = 'write settings as `key: value` lines, starting with `hostname:`'
    return { faults: [wholeFileFault(file, 'holds no settings', mend)] }
  }
  const value = replaceVariables(written, [], env, findings) as Record<string, unknown>
  return { value, written, findings }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value at a path, or undefined where there is none. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const step of path) {
    if (Array.isArray(value)) value = value[Number(step)]
    else if (isRecord(value) && Object.hasOwn(value, String(step))) value = value[String(step)]
    else return undefined
  }
  return value
}

function syntaxFaults(file: string, document: Document.Parsed, lines: LineCounter): Fault[] {
  const fault = (offset: number, problem: string, code: string): Fault => {
    const { line, col } = lines.linePos(offset)
    const mend = SYNTAX_MENDS[code] ?? 'mend the YAML: two spaces a level, `key: value`'
    return { file, line: Math.max(line, 1), column: col, path: '', problem, mend }
  }
  const faults = [...document.errors, ...document.warnings].map(({ code, message, pos }) =>
    fault(quoteBefore(document, pos[0]) ?? pos[0], message.split('\n')[0] ?? code, code),
  )
  if (faults.length > 0) return faults
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return
      const problem = `there is no anchor \`${alias.source}\` above this alias`
      faults.push(fault(alias.range?.[0] ?? 0, problem, 'BAD_ALIAS'))
    },
  })
  return faults
}

/** Where a quote was opened that ends only at `offset`: the line to look at where its end is missing. */
function quoteBefore(document: Document.Parsed, offset: number): number | undefined {
  let start: number | undefined
  visit(document, {
    Scalar(_, { range, type }) {
      const isQuoted = type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE'
      if (isQuoted && range && range[0] < offset && range[1] >= offset) start = range[0]
    },
  })
  return start
}

const SYNTAX_MENDS: Record<string, string> = {
  DUPLICATE_KEY: 'keep one of the two',
  TAB_AS_INDENT: 'indent with spaces',
  BAD_INDENT: 'indent all keys of a level alike, with two spaces',
  TAG_RESOLVE_FAILED: 'leave the tag out, or put the value in quotes',
  MULTIPLE_DOCS: 'keep one document: remove the `---` line and what belongs elsewhere',
  BAD_ALIAS: 'define the anchor (`&name`) above its use, or write the value out',
}

const VARIABLE = /\$(\$\{[^}]*\}?|\{([^}]*)(\}?))/g
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

function replaceVariables(
  value: unknown,
  path: Path,
  env: NodeJS.ProcessEnv,
  findings: Findings,
): unknown {
  if (path.length > DEPTH) {
    findings.fault(path, `is nested more than ${DEPTH} levels deep`, 'remove it')
    return undefined
  }
  if (Array.isArray(value)) {
    return value.map((item, i) => replaceVariables(item, [...path, i], env, findings))
  }
  if (isRecord(value)) {
    const entries = Object.entries(value)
    return Object.fromEntries(
      entries.map(([key, item]) => [key, replaceVariables(item, [...path, key], env, findings)]),
    )
  }
  if (typeof value !== 'string') return value
  return value.replace(VARIABLE, (whole, escaped: string, name?: string, closed?: string) => {
    if (escaped.startsWith('$')) return escaped
    if (name === undefined || closed === '' || !NAME.test(name)) {
      const mend = 'write `$' + '{NAME}`, or `$$' + '{` for these two characters themselves'
      findings.fault(path, `\`${whole}\` names no environment variable`, mend)
      return ''
    }
    const found = env[name]
    if (found === undefined) {
      const mend = `set ${name} in the service's environment, or write the value here`
      findings.fault(path, `the environment variable ${name} is not set`, mend)
    }
    return found ?? ''
  })
}
