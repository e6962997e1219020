// The outcome log: the last word on each recipient, also after a crash in the middle of a line.
import assert from 'node:assert/strict'
import { appendFile, readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { reply } from '../../../gateway/reply.ts'
import { newId } from '../../../gateway/spool/id.ts'
import { appendOwn, readLog, relayLine } from '../../../gateway/spool/outcome-log.ts'
import { temporaryFolder } from '../../support/process.ts'

const ID = newId()
const end = (recipient: string, as: 'relayed' | 'refused') =>
  ({ kind: 'end', at: 1, recipient, end: as }) as const

test('a log that is not there says nothing', async () => {
  await using folder = await temporaryFolder()
  const state = readLog(path.join(folder.path, 'none.log'), ID)
  assert.equal(state.sizeBytes, 0)
  assert.equal(state.attempt, 1)
  assert.equal(state.ends.size, 0)
})

test('an end follows a deferral, and the next attempt is known', async () => {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'a.log')
  const next = { attempt: 2, dueAt: 500 }
  const outcome = { recipient: 'a@x', nextHop: 'h:25', reply: reply(451, '4.0.0', 'later') }
  appendOwn(file, [relayLine({ ...outcome, result: 'deferred' }, next, 1)])
  let state = readLog(file, ID)
  assert.equal(state.attempt, 2)
  assert.equal(state.dueAt, 500)
  assert.equal(state.deferred.get('a@x')?.nextHop, 'h:25')
  appendOwn(file, [end('a@x', 'relayed')])
  state = readLog(file, ID)
  assert.equal(state.deferred.size, 0)
  assert.equal(state.ends.get('a@x')?.end, 'relayed')
})

test('a line cut off by a crash is passed over, and spoils no later line', async () => {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'a.log')
  appendOwn(file, [end('a@x', 'relayed')])
  await appendFile(file, '{"kind":"end","recipient":"b@')
  assert.equal(readLog(file, ID).ends.size, 1)
  appendOwn(file, [end('c@x', 'refused')])
  const state = readLog(file, ID)
  assert.deepEqual([...state.ends.keys()], ['a@x', 'c@x'])
  assert.ok((await readFile(file, 'utf8')).endsWith('}\n'))
})

test('an end is the last word: a deferral that comes after it changes nothing', async () => {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'a.log')
  const late = { kind: 'deferred', at: 2, recipient: 'a@x', attempt: 7, dueAt: 9 } as const
  appendOwn(file, [end('a@x', 'relayed'), late])
  const state = readLog(file, ID)
  assert.equal(state.deferred.size, 0)
  assert.equal(state.attempt, 1)
})
