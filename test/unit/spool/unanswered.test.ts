// A client's retry finds the try whose answer it never got, and nothing else.
import assert from 'node:assert/strict'
import { lstatSync, readFileSync } from 'node:fs'
import { lutimes, mkdir, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { createHolder } from '../../../gateway/spool/holder.ts'
import { type Identity, ownIdentity, writeIdentity } from '../../../gateway/spool/identity.ts'
import { createUnanswered, REMEMBER_MS } from '../../../gateway/spool/unanswered.ts'
import { temporaryFolder } from '../../support/process.ts'

const FINGERPRINT = 'f'.repeat(40)
const DEAD = { ...ownIdentity(), pid: 4_194_303, startedAt: '1' }
const ELSEWHERE = { host: 'before-the-reboot', pid: 1, startedAt: '1' }

/** The folder of entries, and what several processes know of it. */
async function startPlace() {
  const folder = await temporaryFolder()
  const place = path.join(folder.path, 'unanswered')
  const holders = path.join(folder.path, 'holders')
  await mkdir(place)
  await mkdir(holders)
  const stack = new AsyncDisposableStack()
  stack.use(folder)
  return {
    place,
    of(who: Identity = ownIdentity()) {
      return createUnanswered(place, stack.use(createHolder(holders, who)))
    },
    carriedAt: (id: string) => path.join(place, 'ff', `${FINGERPRINT}.${id}`),
    /** Every entry, carried or left. */
    async names() {
      const all = await readdir(place, { recursive: true, withFileTypes: true })
      return all.filter(one => !one.isDirectory()).map(one => one.name)
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

test('a message under way in a living session is not an earlier try', async () => {
  await using house = await startPlace()
  const unanswered = house.of()
  const first = await unanswered.enter(FINGERPRINT, 'm1')
  const second = await unanswered.enter(FINGERPRINT, 'm2')
  assert.deepEqual(first.earlier, [])
  assert.deepEqual(second.earlier, [])
  await first.entry.forget()
  await second.entry.forget()
  assert.deepEqual(await house.names(), [])
})

test('nor is one in a living session of another process', async () => {
  await using house = await startPlace()
  const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8')
  const startedAt = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  const other = { ...ownIdentity(), pid: process.ppid, startedAt }
  await house.of(other).enter(FINGERPRINT, 'm1')
  const unanswered = house.of()
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm2')).earlier, [])
  await unanswered.adopt()
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm3')).earlier, [])
})

test('acknowledged mail never matches; a lost client finds its own', async () => {
  await using house = await startPlace()
  const unanswered = house.of()
  const heard = await unanswered.enter(FINGERPRINT, 'm1')
  const lost = await unanswered.enter(FINGERPRINT, 'm2')
  const other = await unanswered.enter(FINGERPRINT, 'm3')
  await heard.entry.forget()
  await lost.entry.leave()
  await other.entry.forget()
  assert.equal(await unanswered.has(FINGERPRINT, 'm2'), true)
  assert.equal(await unanswered.has(FINGERPRINT, 'm1'), false)
  const retry = await unanswered.enter(FINGERPRINT, 'm4')
  assert.deepEqual(retry.earlier, ['m2'])
  await unanswered.forget(FINGERPRINT, 'm2')
  await retry.entry.forget()
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm5')).earlier, [])
})

test('another content in the same folder is nothing to it', async () => {
  await using house = await startPlace()
  const unanswered = house.of()
  const near = `ff${'0'.repeat(38)}`
  await (await unanswered.enter(near, 'm1')).entry.leave()
  await house.of(DEAD).enter(near, 'm2')
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm3')).earlier, [])
  assert.deepEqual((await unanswered.enter(near, 'm4')).earlier.sort(), ['m1', 'm2'])
})

test('an entry costs no inode of its own', async () => {
  await using house = await startPlace()
  const unanswered = house.of()
  // The first of a folder makes it.
  await unanswered.enter(FINGERPRINT, 'm0')
  await unanswered.enter(FINGERPRINT, 'm1')
  const { entry } = await unanswered.enter(FINGERPRINT, 'm2')
  const inodeOf = (file: string) => lstatSync(file).ino
  assert.equal(inodeOf(house.carriedAt('m1')), inodeOf(house.carriedAt('m2')))
  await entry.leave()
  assert.equal(
    inodeOf(path.join(house.place, 'left', FINGERPRINT, 'm2')),
    inodeOf(house.carriedAt('m1')),
  )
})

test('of hundreds that bring the same at once none is an earlier try, and each lost one is found', async () => {
  await using house = await startPlace()
  const unanswered = house.of()
  const ids = Array.from({ length: 500 }, (_, i) => `m${i}`)
  const entered = await Promise.all(ids.map(id => unanswered.enter(FINGERPRINT, id)))
  for (const { earlier } of entered) assert.deepEqual(earlier, [])
  const lost = ids.slice(100, 250)
  for (const [i, { entry }] of entered.entries())
    await (lost.includes(`m${i}`) ? entry.leave() : entry.forget())
  const retry = await unanswered.enter(FINGERPRINT, 'again')
  assert.deepEqual(retry.earlier.sort(), lost.sort())
})

test('who keeps coming and going with the same content is remembered so many times and no more', async () => {
  await using house = await startPlace()
  const unanswered = house.of()
  for (let i = 0; i < 210; i++) {
    const { entry } = await unanswered.enter(FINGERPRINT, `m${i}`)
    await entry.leave()
  }
  assert.equal((await unanswered.enter(FINGERPRINT, 'again')).earlier.length, 200)
  assert.equal((await house.names()).length, 201)
})

test('sessions of a process that died count as lost clients, before and after adoption', async () => {
  await using house = await startPlace()
  const before = house.of(DEAD)
  await before.enter(FINGERPRINT, 'm1')
  await before.enter(FINGERPRINT, 'm2')
  const unanswered = house.of()
  const retry = await unanswered.enter(FINGERPRINT, 'm3')
  assert.deepEqual(retry.earlier.sort(), ['m1', 'm2'])
  await retry.entry.forget()
  // Two look after the same dead process.
  await Promise.all([unanswered.adopt(), house.of().adopt()])
  const again = await unanswered.enter(FINGERPRINT, 'm4')
  assert.deepEqual(again.earlier.sort(), ['m1', 'm2'])
})

test('after a day nobody retries any more', async () => {
  await using house = await startPlace()
  const unanswered = house.of()
  const { entry } = await unanswered.enter(FINGERPRINT, 'm1')
  await entry.leave()
  assert.equal(await unanswered.expire(Date.now() + REMEMBER_MS - 60_000), 0)
  assert.equal(await unanswered.expire(Date.now() + REMEMBER_MS + 60_000), 1)
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm2')).earlier, [])
  assert.deepEqual(await readdir(path.join(house.place, 'left')), [])
})

test('what is left is as old as its leaving, however long its process lives', async () => {
  await using house = await startPlace()
  const unanswered = house.of()
  const { entry } = await unanswered.enter(FINGERPRINT, 'm1')
  await entry.leave()
  const old = new Date(Date.now() - REMEMBER_MS - 60_000)
  await utimes(path.join(house.place, 'left', FINGERPRINT), old, old)
  // The link whose name it is was renewed right now.
  await unanswered.enter(FINGERPRINT, 'm2')
  assert.equal(await unanswered.expire(), 1)
})

test('an earlier try is forgotten whether it was adopted yet or not', async () => {
  await using house = await startPlace()
  await house.of(DEAD).enter(FINGERPRINT, 'm1')
  const unanswered = house.of()
  assert.equal(await unanswered.has(FINGERPRINT, 'm1'), true)
  await unanswered.forget(FINGERPRINT, 'm1')
  await unanswered.adopt()
  assert.deepEqual(await house.names(), [])
})

test('an entry of a host that cannot be asked counts as a lost client once no session lasts so long', async () => {
  await using house = await startPlace()
  await house.of(ELSEWHERE).enter(FINGERPRINT, 'm1')
  const unanswered = house.of()
  await unanswered.adopt()
  assert.deepEqual(await house.names(), [`${FINGERPRINT}.m1`])
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm2')).earlier, [])
  const old = new Date(Date.now() - 16 * 60_000)
  await lutimes(house.carriedAt('m1'), old, old)
  const { earlier } = await unanswered.enter(FINGERPRINT, 'm3')
  assert.deepEqual(earlier, ['m1'])
})

test('whoever was taken for dead and lives forgets its entry where others have put it', async () => {
  await using house = await startPlace()
  const { entry } = await house.of(ELSEWHERE).enter(FINGERPRINT, 'm1')
  const old = new Date(Date.now() - 16 * 60_000)
  await lutimes(house.carriedAt('m1'), old, old)
  const unanswered = house.of()
  await unanswered.adopt()
  assert.deepEqual(await house.names(), ['m1'])
  await entry.forget()
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm2')).earlier, [])
})

test('a client lost while the file system failed finds its try all the same', async () => {
  await using house = await startPlace()
  const { place } = house
  const unanswered = house.of()
  const { entry } = await unanswered.enter(FINGERPRINT, 'm1')
  await writeFile(path.join(place, 'left'), '')
  await assert.rejects(entry.leave())
  assert.deepEqual(await unanswered.enter(FINGERPRINT, 'm2').catch(() => 0), 0)
  await rm(path.join(place, 'left'))
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm3')).earlier, ['m1', 'm2'])
  await entry.leave()
  assert.equal(await unanswered.has(FINGERPRINT, 'm1'), true)
})

test('folders that somebody removed are made again', async () => {
  await using house = await startPlace()
  const { place } = house
  const unanswered = house.of()
  const { entry } = await unanswered.enter(FINGERPRINT, 'm1')
  await rename(path.join(place, 'ff'), path.join(place, 'away'))
  await entry.leave()
  await (await unanswered.enter(FINGERPRINT, 'm2')).entry.leave()
  assert.deepEqual((await unanswered.enter(FINGERPRINT, 'm3')).earlier, ['m2'])
})

test('entries of versions before this are found by a retry within their day', async () => {
  await using house = await startPlace()
  const { place } = house
  const former = (name: string, id: string, who: Identity) =>
    symlink(`${id}@${writeIdentity(who)}`, path.join(place, `${FINGERPRINT}.${name}`))
  await former('left-0', 'm1', DEAD)
  await former('left-1', 'm2', ELSEWHERE)
  await former('carried-0', 'm3', DEAD)
  await former('carried-1', 'm4', ELSEWHERE)
  const unanswered = house.of()
  await unanswered.adopt()
  const { earlier, entry } = await unanswered.enter(FINGERPRINT, 'm5')
  assert.deepEqual(earlier.sort(), ['m1', 'm2', 'm3'])
  const old = new Date(Date.now() - 16 * 60_000)
  await lutimes(path.join(place, `${FINGERPRINT}.carried-1`), old, old)
  await unanswered.adopt()
  await entry.forget()
  for (const id of ['m1', 'm2', 'm3', 'm4']) {
    assert.equal(await unanswered.has(FINGERPRINT, id), true)
    await unanswered.forget(FINGERPRINT, id)
  }
  assert.deepEqual(await house.names(), [])
})
