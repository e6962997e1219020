// Whatever is done to the example, reading it answers a configuration or faults with lines; it never throws.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { type ConfigFolder, configFolder } from './fixtures.ts'

const file = path.join(import.meta.dirname, '../../../deploy/sallyport.example.yaml')
const lines = (await readFile(file, 'utf8')).split('\n')

let folder: ConfigFolder
before(async () => {
  folder = await configFolder()
})
after(() => folder[Symbol.asyncDispose]())

const VALUES = [
  '',
  'null',
  '[]',
  '{}',
  '0',
  '-1',
  '1e999',
  'true',
  '*a',
  '&a',
  '!x',
  '"',
  '$' + '{',
  '|',
  '~',
]

const change = fc.record({
  line: fc.nat(lines.length - 1),
  kind: fc.constantFrom('remove', 'double', 'indent', 'value', 'text'),
  value: fc.constantFrom(...VALUES),
  text: fc.string({ unit: 'binary', maxLength: 12 }),
})

function changed(changes: readonly (typeof change extends fc.Arbitrary<infer T> ? T : never)[]) {
  const text = lines.map(line => [line])
  for (const { line, kind, value, text: noise } of changes) {
    const [old = ''] = lines.slice(line, line + 1)
    if (kind === 'remove') text[line] = []
    if (kind === 'double') text[line] = [old, old]
    if (kind === 'indent') text[line] = [`  ${old}`]
    if (kind === 'value') text[line] = [old.replace(/:.*$/, `: ${value}`)]
    if (kind === 'text') text[line] = [old.slice(0, 8) + noise + old.slice(8)]
  }
  return text.flat().join('\n')
}

test('every change is answered', async () => {
  const changes = fc.array(change, { minLength: 1, maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(changes, async made => {
      const text = changed(made)
      const read = await folder.read(text)
      if ('config' in read) return
      assert.ok(read.faults.length > 0)
      for (const { line, problem, mend } of read.faults) {
        assert.ok(line >= 1 && line <= text.split(/\r\n|\r|\n/).length + 1, `${line}: ${problem}`)
        assert.ok(problem !== '' && mend !== '')
      }
    }),
    { numRuns: 150 },
  )
})

test('any YAML value in place of any setting is answered', async () => {
  const value = fc.jsonValue({ maxDepth: 3 })
  await fc.assert(
    fc.asyncProperty(fc.nat(200), value, async (at, wild) => {
      const settings = lines.flatMap((line, i) => (/^\w+:/.test(line) ? [i] : []))
      const line = settings[at % settings.length] ?? 0
      const end = settings.find(i => i > line) ?? lines.length
      const key = lines[line]?.split(':')[0]
      const text = [...lines.slice(0, line), `${key}: ${JSON.stringify(wild)}`, ...lines.slice(end)]
      const read = await folder.read(text.join('\n'))
      assert.ok('config' in read || read.faults.length > 0)
    }),
    { numRuns: 150 },
  )
})
