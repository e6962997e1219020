// A client's retry finds the try whose answer it never got, and nothing else.
import assert from 'node:assert/strict'
import { lutimes, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { ownIdentity } from '../../../gateway/spool/identity.ts'
import { createUnanswered, REMEMBER_MS } from '../../../gateway/spool/unanswered.ts'
import { temporaryFolder } from '../../support/process.ts'

const FINGERPRINT = 'f'.repeat(40)
const DEAD = { ...ownIdentity(), pid: 4_194_303, startedAt: '1' }

test('a message under way in a living session is not an earlier try', async () => {
  await using folder = await temporaryFolder()
  const unanswered = createUnanswered(folder.path, ownIdentity())
  const first = await unanswered.enter(FINGERPRINT, 'm1')
  const second = await unanswered.enter(FINGERPRINT, 'm2')
  assert.deepEqual(first.earlier, [])
  assert.deepEqual(second.earlier, [])
  await first.entry?.forget()
  await second.entry?.forget()
  assert.deepEqual(await readdir(folder.path), [])
})

test('acknowledged mail never matches; a lost client finds its own', async () => {
  await using folder = await temporaryFolder()
  const unanswered = createUnanswered(folder.path, ownIdentity())
  const heard = await unanswered.enter(FINGERPRINT, 'm1')
  const lost = await unanswered.enter(FINGERPRINT, 'm2')
  const other = await unanswered.enter(FINGERPRINT, 'm3')
  await heard.entry?.forget()
  await lost.entry?.leave()
  await other.entry?.forget()
  assert.equal(await unanswered.has(FINGERPRINT, 'm2'), true)
  assert.equal(await unanswered.has(FINGERPRINT, 'm1'), false)
  const retry = await unanswered.enter(FINGERPRINT, 'm4')
  assert.deepEqual(retry.earlier, ['m2'])
  await unanswered.forget(FINGERPRINT, 'm2')
  await retry.entry?.forget()
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm5')).earlier, [])
})

test('sessions of a process that died count as lost clients, before and after adoption', async () => {
  await using folder = await temporaryFolder()
  const before = createUnanswered(folder.path, DEAD)
  await before.enter(FINGERPRINT, 'm1')
  await before.enter(FINGERPRINT, 'm2')
  const unanswered = createUnanswered(folder.path, ownIdentity())
  const retry = await unanswered.enter(FINGERPRINT, 'm3')
  assert.deepEqual(retry.earlier.sort(), ['m1', 'm2'])
  await retry.entry?.forget()
  await unanswered.adopt()
  const again = await unanswered.enter(FINGERPRINT, 'm4')
  assert.deepEqual(again.earlier.sort(), ['m1', 'm2'])
})

test('after a day nobody retries any more', async () => {
  await using folder = await temporaryFolder()
  const unanswered = createUnanswered(folder.path, ownIdentity())
  const { entry } = await unanswered.enter(FINGERPRINT, 'm1')
  await entry?.leave()
  assert.equal(await unanswered.expire(Date.now() + REMEMBER_MS - 60_000), 0)
  assert.equal(await unanswered.expire(Date.now() + REMEMBER_MS + 60_000), 1)
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm2')).earlier, [])
})

test('an earlier try is forgotten whether it was adopted yet or not', async () => {
  await using folder = await temporaryFolder()
  await createUnanswered(folder.path, DEAD).enter(FINGERPRINT, 'm1')
  const unanswered = createUnanswered(folder.path, ownIdentity())
  assert.equal(await unanswered.has(FINGERPRINT, 'm1'), true)
  await unanswered.forget(FINGERPRINT, 'm1')
  await unanswered.adopt()
  assert.deepEqual(await readdir(folder.path), [])
})

test('an entry of a host that cannot be asked counts as a lost client once no session lasts so long', async () => {
  await using folder = await temporaryFolder()
  const elsewhere = { host: 'before-the-reboot', pid: 1, startedAt: '1' }
  await createUnanswered(folder.path, elsewhere).enter(FINGERPRINT, 'm1')
  const unanswered = createUnanswered(folder.path, ownIdentity())
  await unanswered.adopt()
  assert.deepEqual(await readdir(folder.path), [`${FINGERPRINT}.carried-0`])
  const old = new Date(Date.now() - 16 * 60_000)
  await lutimes(path.join(folder.path, `${FINGERPRINT}.carried-0`), old, old)
  const { earlier } = await unanswered.enter(FINGERPRINT, 'm2')
  assert.deepEqual(earlier, ['m1'])
})

test('entries behind a gap are found', async () => {
  await using folder = await temporaryFolder()
  const unanswered = createUnanswered(folder.path, ownIdentity())
  const ids = ['m1', 'm2', 'm3', 'm4', 'm5']
  const entries = []
  for (const id of ids) entries.push((await unanswered.enter(FINGERPRINT, id)).entry)
  for (const entry of entries.slice(0, 4)) await entry?.forget()
  assert.equal(await unanswered.has(FINGERPRINT, 'm5'), true)
})

test('a client lost while the file system failed finds its try all the same', async () => {
  await using folder = await temporaryFolder()
  const place = path.join(folder.path, 'unanswered')
  await mkdir(place)
  const unanswered = createUnanswered(place, ownIdentity())
  const { entry } = await unanswered.enter(FINGERPRINT, 'm1')
  await rename(place, `${place}.away`)
  await writeFile(place, '')
  await assert.rejects(async () => entry?.leave())
  await rm(place)
  await rename(`${place}.away`, place)
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm2')).earlier, ['m1'])
})
