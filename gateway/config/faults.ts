// What is wrong with a configuration and what to write instead, and where in the file it stands.
import { type Document, isAlias, isMap, isNode, isPair, isSeq, type LineCounter } from 'yaml'

/** One thing wrong, or to be warned about, in a configuration file. */
export type Fault = {
  file: string
  /** From 1. */
  line: number
  /** From 1. */
  column?: number
  /** Dotted path of the setting, `domains.example.org.nextHop`; empty for the file as a whole. */
  path: string
  problem: string
  /** What to write instead. */
  mend: string
}

export type Path = readonly (string | number)[]

/** Collects what is found, with its place in the file. Of one setting only the first fault is told. */
export type Findings = {
  faults: Fault[]
  warnings: Fault[]
  /** `path` names the setting; where it is absent from the file, the nearest one around it is told. */
  fault(path: Path, problem: string, mend: string): void
  warn(path: Path, problem: string, mend: string): void
  /** Like `fault`, pointing at the key instead of its value. */
  faultAtKey(path: Path, problem: string, mend: string): void
}

/** What is wrong with the file as a whole, before there is a document to point into. */
export const wholeFileFault = (file: string, problem: string, mend: string): Fault => ({
  file,
  line: 1,
  path: '',
  problem,
  mend,
})

export function collectFindings(
  file: string,
  document: Document.Parsed,
  lines: LineCounter,
): Findings {
  const faults: Fault[] = []
  const warnings: Fault[] = []
  const found = (path: Path, problem: string, mend: string, at: 'key' | 'value'): Fault => {
    const { line, col } = lines.linePos(offsetOf(document, path, at))
    return { file, line: Math.max(line, 1), column: col, path: path.join('.'), problem, mend }
  }
  const add = (list: Fault[], fault: Fault) => {
    if (!list.some(known => known.path === fault.path)) list.push(fault)
  }
  return {
    faults,
    warnings,
    fault: (path, problem, mend) => add(faults, found(path, problem, mend, 'value')),
    warn: (path, problem, mend) => add(warnings, found(path, problem, mend, 'value')),
    faultAtKey: (path, problem, mend) => add(faults, found(path, problem, mend, 'key')),
  }
}

/** In the order of the file. */
export const inOrder = (faults: readonly Fault[]): Fault[] =>
  faults.toSorted((a, b) => a.line - b.line || (a.column ?? 0) - (b.column ?? 0))

/** The octet at which a setting stands; a missing one is where its parent's key stands. */
function offsetOf(document: Document.Parsed, path: Path, at: 'key' | 'value'): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    const last = depth === path.length - 1
    let key: unknown
    if (isMap(node)) {
      const pair = node.items.find(item => isPair(item) && keyText(item.key) === String(step))
      if (!pair) break
      key = pair.key
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(step)]
    } else break
    const keyStart = startOf(key)
    // A block map or list starts on the line below its key; the key is what a reader looks for.
    const useKey = (last && at === 'key') || !isScalarLike(node)
    offset = (useKey ? keyStart : undefined) ?? startOf(node) ?? keyStart ?? offset
  }
  return offset
}

const keyText = (key: unknown): string =>
  isNode(key) && 'value' in key ? String(key.value) : String(key)

const startOf = (node: unknown): number | undefined => (isNode(node) ? node.range?.[0] : undefined)

const isScalarLike = (node: unknown): boolean =>
  isNode(node) && !isMap(node) && !isSeq(node) && !('value' in node && node.value === null)
