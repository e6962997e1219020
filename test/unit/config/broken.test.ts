// Every configuration in broken/ dies with exactly the faults its first lines announce, each at its line.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { check } from '../../../gateway/check.ts'
import { type ConfigFolder, configFolder } from './fixtures.ts'

const broken = path.join(import.meta.dirname, 'broken')
const files = readdirSync(broken).filter(name => name.endsWith('.yaml'))

let folder: ConfigFolder
before(async () => {
  folder = await configFolder()
})
after(() => folder[Symbol.asyncDispose]())

const expectations = (text: string) =>
  [...text.matchAll(/^# expect: (\d+): (.+)$/gm)].map(([, line, fragment]) => ({
    line: Number(line),
    fragment: fragment ?? '',
  }))

test('there are many of them', () => assert.ok(files.length >= 30))

for (const name of files) {
  test(`broken/${name}`, async () => {
    const text = readFileSync(path.join(broken, name), 'utf8')
    const expected = expectations(text)
    assert.ok(expected.length > 0, 'the file announces no fault')
    const read = await folder.read(text)
    assert.ok('faults' in read, 'it was taken as a good configuration')
    const told = read.faults.map(f => `${f.line}: ${f.problem}`)
    assert.equal(told.length, expected.length, told.join('\n'))
    for (const [i, { line, fragment }] of expected.entries()) {
      assert.equal(read.faults[i]?.line, line, told[i])
      assert.ok(read.faults[i]?.problem.includes(fragment), told[i])
      assert.notEqual(read.faults[i]?.mend, '')
    }
  })
}

test('check prints FILE:LINE: problem — mend for each fault and exits with 1', async () => {
  let printed = ''
  const file = path.join(broken, 'several.yaml')
  const code = await check(file, { env: {}, errors: { write: text => (printed += text) } })
  assert.equal(code, 1)
  for (const { line, fragment } of expectations(readFileSync(file, 'utf8'))) {
    const start = `${file}:${line}: `
    const found = printed.split('\n').find(l => l.startsWith(start) && l.includes(fragment))
    assert.match(found ?? '', / — \S/, `${line}: ${fragment}`)
  }
  assert.match(printed, /6 faults\n$/)
})
