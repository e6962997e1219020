// The house's style, as far as a program can see it.
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { isSource, isTypeScript, read, repositoryFiles } from './source.ts'

const FILE_LINES = 300
const FILE_LINES_AT_ALL = 350
const LONG_FILES = 5
const FUNCTION_LINES = 70
const COLUMNS = 100

const HEAD =
  /^(\s*)(?:(?:export )?(?:async )?function\b.*[({]$|(?:export )?const \w+ = .*(?:\(|=> \{)$|(?:async )?[\w.[\]]+\(.*(?:\{|\()$|(?:async )?\w+\($|\w+: .*=> \{$)/

const files = repositoryFiles()
const code = files.filter(isTypeScript)
const scripts = files.filter(file => file.endsWith('.sh') || file === 'gateway/sallyport')
const lines = new Map([...code, ...scripts].map(file => [file, read(file).split('\n')]))

/** Asserts that `wrong` answers nothing for any of the files. */
function none(
  of: string[],
  wrong: (file: string, text: string[]) => string | string[] | undefined,
) {
  const found = of.flatMap(file => wrong(file, lines.get(file) ?? []) ?? [])
  assert.deepEqual(found, [])
}

test('there is something to look at', () => assert.ok(code.length > 30))

test('only the folders of the house', () => {
  const known = ['.ci', 'deploy', 'gateway', 'policies', 'scanners', 'test']
  const folders = new Set(
    files.filter(file => file.includes('/')).map(file => file.slice(0, file.indexOf('/'))),
  )
  assert.deepEqual([...folders].sort(), known)
})

test('each folder of the house says on one screen what it is for', () => {
  for (const folder of ['deploy', 'gateway', 'policies', 'scanners', 'test']) {
    assert.ok(files.includes(`${folder}/README.md`), folder)
    assert.ok(read(`${folder}/README.md`).split('\n').length <= 60, folder)
  }
})

test('the first line of a file says what it does', () => {
  none(code, (file, [first = '']) => (/^\/\/ .{20,}[.?!:]$/.test(first) ? undefined : file))
  none(scripts, (file, [first = '', second = '']) =>
    first === '#!/bin/sh' && /^# .{20,}/.test(second) ? undefined : file,
  )
})

test(`hardly a file has over ${FILE_LINES} lines, none over ${FILE_LINES_AT_ALL}`, () => {
  const long = code.filter(file => (lines.get(file)?.length ?? 0) - 1 > FILE_LINES)
  assert.ok(long.length <= LONG_FILES, long.join('\n'))
  none(long, (file, text) => (text.length - 1 > FILE_LINES_AT_ALL ? file : undefined))
})

test(`lines have at most ${COLUMNS} columns, comments a few more`, () =>
  none([...code, ...scripts], (file, text) =>
    text.flatMap((line, i) => {
      // A sentence is not broken for the sake of a few letters.
      const isComment = /^\s*(\/\/|\*|\/\*\*|#)/.test(line)
      const most = isComment ? COLUMNS + 30 : COLUMNS
      // The formatter leaves a long text or pattern in one piece.
      const isText = !isComment && /'[^']{40,}'|"[^"]{40,}"|`[^`]{40,}`|\/.{40,}\//.test(line)
      if ([...line].length <= most || isText) return []
      const isInTemplate = text.slice(0, i).join('').split('`').length % 2 === 0
      return isInTemplate ? [] : [`${file}:${i + 1}`]
    }),
  ))

test(`functions have at most ${FUNCTION_LINES} lines`, () =>
  none(code.filter(isSource), (file, text) =>
    functionsOf(text)
      .filter(({ length }) => length > FUNCTION_LINES)
      .map(({ line, length }) => `${file}:${line} has ${length}`),
  ))

test('the measure of functions measures', () => {
  const body = Array.from({ length: 80 }, () => '  work()')
  assert.deepEqual(functionsOf(['export async function f(', '  a: b,', ') {', ...body, '}']), [
    { line: 1, length: 84 },
  ])
  const nested = [
    'const f = (a: B): C => {',
    '  return {',
    '    g() {',
    '      work()',
    '    },',
    '  }',
    '}',
  ]
  assert.deepEqual(functionsOf(nested), [
    { line: 1, length: 4 },
    { line: 3, length: 3 },
  ])
})

test('nothing is left for later', () => {
  const later = new RegExp(
    `\\b(${['TO', 'FIX', 'XX'].map((a, i) => a + ['DO', 'ME', 'X'][i]).join('|')})\\b`,
  )
  none([...code, ...scripts], (file, text) =>
    text.flatMap((line, i) => (later.test(line) ? [`${file}:${i + 1}`] : [])),
  )
})

test('names are in kebab-case and say what is in the file', () => {
  const vague = /(^|-)(utils?|helpers?|managers?|services?|handlers?|misc|common)(-|$)/
  for (const file of code) {
    const name = path.basename(file).replace(/(\.test)?\.ts$/, '')
    assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/, file)
    assert.doesNotMatch(name, vague, file)
    for (const folder of path.dirname(file).split('/')) assert.doesNotMatch(folder, vague, file)
  }
})

test('nothing is exported by default, but what node:test asks for', () =>
  none(
    code.filter(file => file !== 'test/reporter.ts'),
    (file, text) => (text.some(line => line.startsWith('export default')) ? file : undefined),
  ))

test('no test is left out or singled out', () =>
  none(code, (file, text) =>
    text.flatMap((line, i) =>
      /\b(test|it|describe)\.(only|skip|todo)\(/.test(line) ? [`${file}:${i + 1}`] : [],
    ),
  ))

test('scanners and policies never log and never read the environment', () =>
  none(
    code.filter(file => /^(scanners|policies)\//.test(file)),
    (file, text) =>
      text.flatMap((line, i) =>
        /\bconsole\.|process\.(env|stdout|stderr)/.test(line) ? [`${file}:${i + 1}`] : [],
      ),
  ))

test('the test virus stands nowhere in one piece', () => {
  const whole = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}', '$EICAR'].join('')
  for (const file of files) assert.ok(!read(file).includes(whole), file)
})

/**
 * Functions with their own lines, those of functions inside them not counted: a factory that holds ten short
 * closures is not long. Found by the formatter's indentation.
 */
function functionsOf(text: string[]): { line: number; length: number }[] {
  const extents: { start: number; end: number }[] = []
  for (const [i, line] of text.entries()) {
    const indent = HEAD.exec(line)?.[1]
    if (indent === undefined || /^\s*(if|for|while|switch|return|await)\b/.test(line)) continue
    const open = line.endsWith('(')
      ? text.findIndex((l, j) => j > i && l.startsWith(`${indent})`))
      : i
    if (!text[open]?.endsWith('{')) continue
    const end = text.findIndex((l, j) => j > open && l.startsWith(`${indent}}`))
    if (end > open) extents.push({ start: i, end })
  }
  return extents.map(({ start, end }) => {
    const inside = extents.filter(e => e.start > start && e.end < end)
    const nested = new Set(inside.flatMap(e => text.map((_, i) => i).slice(e.start, e.end + 1)))
    return { line: start + 1, length: end - start + 1 - nested.size }
  })
}
