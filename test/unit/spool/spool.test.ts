// Custody on disk: what makes a message ours, in which order it ends, and that nothing unreadable is thrown away.
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { newId } from '../../../gateway/spool/id.ts'
import type { LogLine } from '../../../gateway/spool/outcome-log.ts'
import { startRelaying } from '../../support/relaying.ts'

const end: LogLine = { kind: 'end', at: 1, recipient: 'a@example.org', end: 'relayed' }
const namesIn = async (folder: string, name: string) =>
  (await readdir(path.join(folder, name))).sort()

test('custody: the envelope is there whole, and nothing is left aside', async () => {
  await using house = await startRelaying()
  const { spool, folder } = house
  const envelope = await house.message()
  assert.equal(await spool.inCustody(envelope.id), false)
  await spool.takeCustody(envelope)
  assert.equal(await spool.inCustody(envelope.id), true)
  assert.deepEqual(await spool.envelope(envelope.id), envelope)
  assert.deepEqual(await namesIn(folder, 'incoming'), [`${envelope.id}.eml`])
  assert.deepEqual(
    (await spool.queued()).map(queued => queued.id),
    [envelope.id],
  )
})

test('custody fails before the envelope is visible where content or folder are missing', async () => {
  await using house = await startRelaying()
  const { spool, folder } = house
  const gone = await house.message()
  await spool.removeContent(gone.id)
  await assert.rejects(spool.takeCustody(gone), { code: 'ENOENT' })
  assert.equal(await spool.inCustody(gone.id), false)

  const envelope = await house.message()
  const queued = path.join(folder, 'queued')
  await rename(queued, `${queued}.away`)
  await assert.rejects(spool.takeCustody(envelope), { code: 'ENOENT' })
  await rename(`${queued}.away`, queued)
  await spool.takeCustody(envelope)
  assert.deepEqual(await spool.envelope(envelope.id), envelope, 'what was left aside did no harm')
})

test('custody ends with the envelope, then content and, unless it is asked for, log', async () => {
  await using house = await startRelaying()
  const { spool, folder } = house
  const one = await house.custody()
  const other = await house.custody()
  for (const { id } of [one, other]) await spool.append(id, [end])
  await spool.endCustody(one.id, false)
  await spool.endCustody(other.id, true)
  await spool.endCustody(other.id, true)
  assert.deepEqual(await namesIn(folder, 'queued'), [])
  assert.deepEqual(await namesIn(folder, 'incoming'), [`${other.id}.log`])
})

test('as long as the end is not known to be on disk, content and log stay', async () => {
  await using house = await startRelaying()
  const { id } = await house.custody()
  const queued = path.join(house.folder, 'queued')
  await rename(queued, `${queued}.away`)
  await assert.rejects(house.spool.endCustody(id, false), { code: 'ENOENT' })
  assert.ok(await house.spool.content(id))
})

test('an envelope that cannot be understood goes to corrupt/ with content and log, and is told', async () => {
  const wrong: [string, (text: string) => string][] = [
    ['cut off', text => text.slice(0, 40)],
    ['empty', () => ''],
    ['null', () => 'null'],
    ['of another version', text => text.replace('"version":1', '"version":9')],
    ['of another message', text => text.replace(/"id":"m./, '"id":"mz')],
    ['without recipients', text => text.replace(/"recipients":\[[^\]]*\]/, '"recipients":[]')],
    ['with half a recipient', text => text.replace('"address":"a@', '"adress":"a@')],
    ['with no recipient', text => text.replace(/"recipients":\[[^\]]*\]/, '"recipients":[null]')],
    ['without reverse-path', text => text.replace('"reversePath"', '"reversepath"')],
    ['without its time', text => text.replace(/"receivedAt":\d+/, '"receivedAt":null')],
  ]
  await using house = await startRelaying()
  const { spool, folder } = house
  for (const [name, change] of wrong) {
    const { id } = await house.custody()
    await spool.append(id, [end])
    const file = path.join(folder, 'queued', `${id}.json`)
    await writeFile(file, change(await readFile(file, 'utf8')))
    assert.equal(await spool.envelope(id), undefined, name)
    const kept = (await namesIn(folder, 'corrupt')).filter(file => file.startsWith(id))
    assert.deepEqual(
      kept.map(file => file.replace(/\.[0-9a-z]+$/, '')),
      [`${id}.eml`, `${id}.json`, `${id}.log`],
      name,
    )
    assert.equal(house.events.of('spoolCorrupt').at(-1)?.file, `${id}.json`)
  }
  assert.deepEqual(await namesIn(folder, 'incoming'), [])
})

test('strange files in queued/ are set aside, what NFS keeps of removed ones is not', async () => {
  await using house = await startRelaying()
  const queued = path.join(house.folder, 'queued')
  await writeFile(path.join(queued, 'notes.txt'), 'x')
  await writeFile(path.join(queued, '.nfs0001'), 'x')
  await mkdir(path.join(queued, 'm0123456789abcdefghijk.json'))
  assert.deepEqual(await house.spool.queued(), [])
  assert.deepEqual(await readdir(queued), ['.nfs0001'])
  assert.equal((await namesIn(house.folder, 'corrupt')).length, 2)
})

test('ids are unique, sortable by time and safe in a file name', async () => {
  await using house = await startRelaying()
  const ids = Array.from({ length: 1000 }, () => house.spool.newId())
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) assert.match(id, /^m[0-9a-z]{21}$/)
  assert.ok(newId(1) < (ids[0] ?? ''))
})
