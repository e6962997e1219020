// Imports run downward only: who may know whom.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { importsOf, isSource, repositoryFiles } from './source.ts'

const LEAVES = ['gateway/message.ts', 'gateway/reply.ts', 'gateway/outcome.ts']
/** Costly to load; whoever only reads the configuration must not. */
const HEAVY = [
  'bullmq',
  'clamscan',
  'ioredis',
  'ldapjs',
  'mailauth',
  'nodemailer',
  'smtp-server',
  'undici',
]

const sources = repositoryFiles().filter(isSource)
const graph = new Map(sources.map(file => [file, importsOf(file)]))
const edges = sources.flatMap(file =>
  (graph.get(file) ?? []).filter(i => i.isOurs).map(i => ({ from: file, to: i.target })),
)

/** Asserts that no file matching `from` imports anything of ours but what `allowed` names. */
function only(from: RegExp, allowed: RegExp): void {
  const wrong = edges.filter(e => from.test(e.from) && !allowed.test(e.to))
  assert.deepEqual(
    wrong.map(e => `${e.from} imports ${e.to}`),
    [],
  )
}
function never(from: RegExp, to: RegExp): void {
  const wrong = edges.filter(e => from.test(e.from) && to.test(e.to))
  assert.deepEqual(
    wrong.map(e => `${e.from} imports ${e.to}`),
    [],
  )
}

const leaves = LEAVES.map(file => file.replace('.', '\\.')).join('|')

test('the reader of imports sees every form of them', () => {
  const text = [
    "import { a } from './a.ts'",
    "import type { b } from '../b.ts'",
    'import {\n  c,\n  type d,\n} from "node:c"'.replaceAll('"', "'"),
    "export { e } from './e.ts'",
    "  const { f } = await import('@scope/f/deep.js')",
    "type G = typeof import('g')",
  ].join('\n')
  const seen = importsOf('gateway/x.ts', text).map(i => [i.target, i.isType, i.isDynamic])
  assert.deepEqual(seen, [
    ['gateway/a.ts', false, false],
    ['b.ts', true, false],
    ['node:c', false, false],
    ['gateway/e.ts', false, false],
    ['@scope/f', false, true],
    ['g', true, true],
  ])
})

test('there is something to look at', () => assert.ok(edges.length > 30))

test('leaves import only leaves', () => {
  for (const leaf of LEAVES) assert.ok(graph.has(leaf), leaf)
  only(new RegExp(`^(${leaves})$`), new RegExp(`^(${leaves})$`))
})

test('scanners import leaves and scanners', () =>
  only(/^scanners\//, new RegExp(`^(scanners/.*|${leaves})$`)))

test('policies import leaves, what a verdict is, and policies', () =>
  only(/^policies\//, new RegExp(`^(policies/.*|scanners/scanner\\.ts|${leaves})$`)))

test('receive, scan and relay never import one another', () => {
  never(/^gateway\/receive\//, /^gateway\/(scan\b|relay\/)/)
  never(/^gateway\/scan\b/, /^gateway\/(receive|relay)\//)
  never(/^gateway\/relay\//, /^gateway\/(receive\/|scan\b)/)
})

test('only main and supervise know main and supervise', () =>
  never(/^(?!gateway\/(main\.ts|supervise\/))/, /^gateway\/(main\.ts|supervise\/)/))

test('production code imports no tests and no demo', () => never(/./, /^(test|deploy)\//))

test('no import goes round in a circle', () => {
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, trail: string[]): void => {
    const start = trail.indexOf(file)
    if (start >= 0) circles.push([...trail.slice(start), file].join(' -> '))
    if (start >= 0 || done.has(file)) return
    for (const { target, isOurs, isType } of graph.get(file) ?? []) {
      // Types are erased: two files may name each other's.
      if (isOurs && !isType) visit(target, [...trail, file])
    }
    done.add(file)
  }
  for (const file of sources) visit(file, [])
  assert.deepEqual(circles, [])
})

test('reading the configuration loads no heavy package', () => {
  const loaded = new Set<string>()
  const visit = (file: string): void => {
    if (loaded.has(file)) return
    loaded.add(file)
    for (const { target, isType, isDynamic } of graph.get(file) ?? []) {
      if (!isType && !isDynamic) visit(target)
    }
  }
  visit('gateway/config/read.ts')
  assert.ok(loaded.has('zod') && loaded.has('yaml'))
  assert.deepEqual(
    HEAVY.filter(name => loaded.has(name)),
    [],
  )
})
