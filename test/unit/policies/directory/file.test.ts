// A recipients file that is read, rewritten, half-written, emptied, replaced, and taken away.
import assert from 'node:assert/strict'
import { appendFile, mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { createFileDirectory } from '../../../../policies/directory/file.ts'
import { temporaryFolder, until } from '../../../support/process.ts'

const TEXT = `\ufeff# people
anna@example.org
Bob.B@Example.ORG   # with a remark\r
a#b@example.org
"john doe"@example.org
m\u00fcnchen@m\u00fcnchen.example

@lists.example.org
`

type Change = { up: boolean; cause?: string }

async function withFile(text: string | undefined, recheckMs = 30) {
  const folder = await temporaryFolder()
  const file = path.join(folder.path, 'recipients')
  if (text !== undefined) await writeFile(file, text)
  const changes: Change[] = []
  const onChange = (change: Change) => changes.push(change)
  const directory = await createFileDirectory('staff', file, { recheckMs, onChange })
  const ask = async (address: string) => (await directory.lookup(address)).existence
  return {
    file,
    changes,
    directory,
    ask,
    becomes: (address: string, existence: string) =>
      until(`${address} ${existence}`, async () => (await ask(address)) === existence, 3000),
    async [Symbol.asyncDispose]() {
      await directory[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** As if nobody had written to the file for a minute. */
const age = (file: string) => utimes(file, new Date(), new Date(Date.now() - 60_000))

test('addresses, whole domains, comments, case and quotes', async () => {
  await using it = await withFile(TEXT)
  for (const address of [
    'anna@example.org',
    'ANNA@EXAMPLE.org',
    '"anna"@example.org',
    'bob.b@example.org',
    'a#b@example.org',
    '"john doe"@example.org',
    'm\u00fcnchen@xn--mnchen-3ya.example',
    'whoever@lists.example.org',
    'whoever@LISTS.example.org',
  ]) {
    assert.equal(await it.ask(address), 'exists', address)
  }
  for (const address of [
    'nobody@example.org',
    '# people',
    '@example.org',
    'whoever@sub.lists.example.org',
    'anna@example.org@evil.example',
    'anna@example.org\n',
    '',
    'lists.example.org',
  ]) {
    assert.equal(await it.ask(address), 'unknown', JSON.stringify(address))
  }
  assert.deepEqual(it.changes, [{ up: true }])
})

test('a line that is no address is told, with its number', async () => {
  await using it = await withFile('anna@example.org\n\nbob\ncarl@\n')
  assert.equal(await it.ask('anna@example.org'), 'exists')
  assert.deepEqual(it.changes, [
    { up: true, cause: '2 lines are not addresses, the first is line 3' },
  ])
})

test('a file replaced by rename is read again', async () => {
  await using it = await withFile('anna@example.org\n')
  const next = `${it.file}.new`
  await writeFile(next, 'bob@example.org\n')
  await age(next)
  await rename(next, it.file)
  await it.becomes('bob@example.org', 'exists')
  assert.equal(await it.ask('anna@example.org'), 'unknown')
})

test('while a file is written in place, nobody is unknown and nobody is forgotten', async () => {
  await using it = await withFile('anna@example.org\nbob@example.org\n')
  await writeFile(it.file, 'anna@example.org\n')
  const answers = new Set<string>()
  for (let i = 0; i < 20; i++) {
    await appendFile(it.file, `user${i}@example.org\n`)
    await it.directory.lookup('anna@example.org')
    const answer = await it.ask('carl@example.org')
    // Between the change and the next look the old content is believed.
    if (answer !== 'unknown' || answers.size > 0) answers.add(answer)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  assert.deepEqual([...answers], ['unavailable'])
  await it.becomes('user19@example.org', 'exists')
  assert.equal(await it.ask('carl@example.org'), 'unknown')
  assert.equal(await it.ask('bob@example.org'), 'unknown')
})

test('an emptied file is only believed when it stays so', async () => {
  await using it = await withFile('anna@example.org\n', 200)
  await writeFile(it.file, '')
  await age(it.file)
  await it.becomes('bob@example.org', 'unavailable')
  assert.equal(await it.ask('anna@example.org'), 'exists')
  await it.becomes('anna@example.org', 'unknown')
})

test('a file taken away or spoilt leaves what was in it, with the cause told once', async () => {
  await using it = await withFile('anna@example.org\n')
  await rm(it.file)
  await it.becomes('bob@example.org', 'unavailable')
  assert.equal(await it.ask('anna@example.org'), 'exists')
  const lookup = await it.directory.lookup('bob@example.org')
  assert.match(lookup.cause ?? '', /ENOENT/)
  await mkdir(it.file)
  await until('the folder is noticed', async () => {
    return /no file|EISDIR/.test((await it.directory.lookup('bob@example.org')).cause ?? '')
  })
  await rm(it.file, { recursive: true })
  await writeFile(it.file, 'bob@example.org\n')
  await it.becomes('bob@example.org', 'exists')
  assert.deepEqual(
    it.changes.map(c => c.up),
    [true, false, false, true],
  )
})

test('a file that was never there is unavailable until it is', async () => {
  await using it = await withFile(undefined)
  assert.equal(await it.ask('anna@example.org'), 'unavailable')
  assert.match(it.changes[0]?.cause ?? '', /ENOENT/)
  await writeFile(it.file, 'anna@example.org\n')
  await it.becomes('anna@example.org', 'exists')
})

test('lookups do not look at the file more often than once in the interval', async () => {
  await using it = await withFile('anna@example.org\n', 60_000)
  await writeFile(it.file, 'bob@example.org\n')
  await age(it.file)
  assert.equal(await it.ask('bob@example.org'), 'unknown')
})
