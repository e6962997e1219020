// Logs that are names of one file: each reader sees its own message's outcomes, whatever fails in between.
import assert from 'node:assert/strict'
import { linkSync, lstatSync, readFileSync } from 'node:fs'
import { appendFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { newId } from '../../../gateway/spool/id.ts'
import { appendOwn, type LogLine, readLog } from '../../../gateway/spool/outcome-log.ts'
import { createOutcomeLogs } from '../../../gateway/spool/shared-log.ts'
import { temporaryFolder } from '../../support/process.ts'

const end = (recipient: string, detail = ''): LogLine => ({
  ...{ kind: 'end', at: 1, recipient, end: 'relayed', detail },
})
const later: LogLine = { kind: 'deferred', at: 1, recipient: 'z@x', attempt: 2, dueAt: 9 }

async function startLogs() {
  const folder = await temporaryFolder()
  const incoming = path.join(folder.path, 'incoming')
  const holders = path.join(folder.path, 'holders')
  await mkdir(incoming)
  await mkdir(holders)
  const stack = new AsyncDisposableStack()
  stack.use(folder)
  const fileOf = (id: string) => path.join(incoming, `${id}.log`)
  const open = () => {
    const logs = stack.use(createOutcomeLogs(holders))
    return (id: string, lines: LogLine[], mayShare = true) =>
      logs.append(fileOf(id), { id, mayShare }, lines)
  }
  return {
    ...{ incoming, holders, fileOf, open },
    ends: (id: string) => [...readLog(fileOf(id), id).ends.keys()],
    inode: (id: string) => lstatSync(fileOf(id)).ino,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

test('held messages share a file, and each sees its own outcomes', async () => {
  await using house = await startLogs()
  const append = house.open()
  const [one, two] = [newId(), newId()]
  assert.equal(await append(one, [end('a@x')]), true)
  assert.equal(await append(two, [end('b@x')]), true)
  assert.equal(await append(one, [end('c@x')]), false)
  assert.equal(house.inode(one), house.inode(two))
  assert.deepEqual(house.ends(one), ['a@x', 'c@x'])
  assert.deepEqual(house.ends(two), ['b@x'])
  const other = newId()
  linkSync(house.fileOf(one), house.fileOf(other))
  assert.equal(readLog(house.fileOf(other), other).sizeBytes, 0)
})

test('an id that begins like another is another', async () => {
  await using house = await startLogs()
  const append = house.open()
  const id = newId()
  await append(`${id}-dsn1`, [end('b@x')])
  await append(id, [end('a@x')])
  assert.deepEqual(house.ends(id), ['a@x'])
  assert.deepEqual(house.ends(`${id}-dsn1`), ['b@x'])
})

test('a file takes some logs, and then there is another', async () => {
  await using house = await startLogs()
  const append = house.open()
  const ids = Array.from({ length: 200 }, () => newId())
  for (const id of ids) await append(id, [end(`${id}@x`)])
  const files = new Set(ids.map(house.inode))
  assert.ok(files.size > 2 && files.size < 20, `${files.size} files`)
  for (const id of ids) {
    assert.deepEqual(house.ends(id), [`${id}@x`])
    assert.ok(lstatSync(house.fileOf(id)).size < 10_000)
  }
  assert.equal((await readdir(house.holders)).length, 1)
  // However much one message has to say, the others' readers need not read it.
  const long = newId()
  for (let i = 0; i < 500; i++) await append(long, [end(`a${i}@x`)])
  assert.equal(house.ends(long).length, 500)
  const next = newId()
  await append(next, [end('a@x')])
  assert.ok(lstatSync(house.fileOf(next)).size < 20_000)
})

test('what is long, deferred, or in custody has a file of its own, as it always was', async () => {
  await using house = await startLogs()
  const append = house.open()
  const [long, deferred, kept] = [newId(), newId(), newId()]
  await append(long, [end('a@x', 'x'.repeat(3000))])
  await append(deferred, [later])
  await append(kept, [end('a@x')], false)
  for (const id of [long, deferred, kept])
    assert.ok(readFileSync(house.fileOf(id), 'utf8').startsWith('{'))
  assert.deepEqual(await readdir(house.holders), [])
})

test('in custody lines go to a file of its own before more is said, and others keep theirs', async () => {
  await using house = await startLogs()
  const append = house.open()
  const [one, two] = [newId(), newId()]
  await append(one, [end('a@x')])
  await append(two, [end('b@x')])
  const more = ['c@x', 'd@x', 'e@x', 'f@x']
  // As groups of one message end at once; each says that the log's name is new.
  const news = await Promise.all(more.map(to => append(one, [end(to)], false)))
  assert.deepEqual(news, [true, true, true, true])
  assert.deepEqual(house.ends(one), ['a@x', ...more])
  assert.deepEqual(house.ends(two), ['b@x'])
  assert.ok(readFileSync(house.fileOf(one), 'utf8').startsWith('{'))
  assert.deepEqual((await readdir(house.incoming)).sort(), [`${one}.log`, `${two}.log`].sort())
  assert.equal(await append(one, [end('g@x')], false), false)
})

test('a held one among them: what shares and what does not are written in turn', async () => {
  await using house = await startLogs()
  const append = house.open()
  const id = newId()
  await append(id, [end('a@x')])
  await Promise.all([append(id, [later]), append(id, [end('b@x')]), append(id, [end('c@x')])])
  assert.deepEqual(house.ends(id), ['a@x', 'b@x', 'c@x'])
  assert.equal(readLog(house.fileOf(id), id).attempt, 2)
})

test('another process writes to no file that it did not make', async () => {
  await using house = await startLogs()
  const [append, other] = [house.open(), house.open()]
  const [one, two] = [newId(), newId()]
  await append(one, [end('a@x')])
  await append(two, [end('b@x')])
  assert.equal(await other(one, [end('c@x')]), true)
  // And the first one sees that its file is no longer that of this log.
  assert.equal(await append(one, [end('d@x')]), false)
  assert.deepEqual(house.ends(one), ['a@x', 'c@x', 'd@x'])
  assert.deepEqual(house.ends(two), ['b@x'])
  assert.ok(!readFileSync(house.fileOf(two), 'utf8').includes('c@x'))
})

test('a process that died in the middle of a line, or of copying, spoils nothing', async () => {
  await using house = await startLogs()
  const append = house.open()
  const [one, two] = [newId(), newId()]
  await append(one, [end('a@x')])
  await append(two, [end('b@x')])
  await appendFile(house.fileOf(one), `${one} {"kind":"end","recipient":"c@`)
  await writeFile(`${house.fileOf(one)}.aside`, '{"kind":"end","recipient":"q@x"}\n{"ki')
  const next = house.open()
  await next(one, [end('d@x')], false)
  await next(two, [end('e@x')], false)
  assert.deepEqual(house.ends(one), ['a@x', 'd@x'])
  assert.deepEqual(house.ends(two), ['b@x', 'e@x'])
})

test('a file whose beginning a power cut took says nothing of what it had, and nothing of others', async () => {
  await using house = await startLogs()
  const append = house.open()
  const [one, two] = [newId(), newId()]
  await append(one, [end('a@x')])
  const first = readFileSync(house.fileOf(one)).length
  await append(two, [end('b@x')])
  const bytes = readFileSync(house.fileOf(one))
  bytes.fill(0, 0, first)
  await writeFile(house.fileOf(one), bytes)
  assert.deepEqual(house.ends(one), [])
  assert.deepEqual(house.ends(two), [])
  await house.open()(one, [end('c@x')], false)
  assert.deepEqual(house.ends(one), ['c@x'])
})

test('where the name of the file under way is gone, or there can be none, logs are written all the same', async () => {
  await using house = await startLogs()
  const append = house.open()
  const ids = Array.from({ length: 4 }, () => newId())
  const [one = '', two = '', three = '', four = ''] = ids
  await append(one, [end('a@x')])
  for (const name of await readdir(house.holders)) await rm(path.join(house.holders, name))
  await append(two, [end('a@x')])
  await append(three, [end('a@x')])
  await rm(house.holders, { recursive: true })
  await append(four, [end('a@x')])
  await append(one, [end('b@x')])
  assert.deepEqual(ids.map(house.ends), [['a@x', 'b@x'], ['a@x'], ['a@x'], ['a@x']])
})

test('what the file system would not take is told, and is there once it was taken', async () => {
  await using house = await startLogs()
  const append = house.open()
  const [one, two] = [newId(), newId()]
  await append(one, [end('a@x')])
  await rename(house.incoming, `${house.incoming}.away`)
  await assert.rejects(append(two, [end('b@x')]))
  await rename(`${house.incoming}.away`, house.incoming)
  assert.deepEqual(house.ends(two), [])
  assert.equal(await append(two, [end('b@x')]), true)
  assert.deepEqual(house.ends(two), ['b@x'])
})

test('logs of versions before this go on as they are', async () => {
  await using house = await startLogs()
  const append = house.open()
  const id = newId()
  appendOwn(house.fileOf(id), [end('a@x')])
  assert.equal(await append(id, [end('b@x')]), false)
  assert.deepEqual(house.ends(id), ['a@x', 'b@x'])
  assert.ok(!readFileSync(house.fileOf(id), 'utf8').includes(id))
})

test('a process that ends in order leaves logs, and no file under way', async () => {
  await using house = await startLogs()
  const id = newId()
  {
    using logs = createOutcomeLogs(house.holders)
    await logs.append(house.fileOf(id), { id, mayShare: true }, [end('a@x')])
    assert.equal((await readdir(house.holders)).length, 1)
  }
  assert.deepEqual(await readdir(house.holders), [])
  assert.deepEqual(house.ends(id), ['a@x'])
})
