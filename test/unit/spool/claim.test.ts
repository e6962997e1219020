// The claim: one holder at a time, whatever dies, and a loser that knows it lost.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, lstatSync } from 'node:fs'
import { lutimes, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { createClaims as claimsOf } from '../../../gateway/spool/claim.ts'
import { createHolder } from '../../../gateway/spool/holder.ts'
import { newId } from '../../../gateway/spool/id.ts'
import { ownIdentity, writeIdentity } from '../../../gateway/spool/identity.ts'
import { temporaryFolder, until } from '../../support/process.ts'

/** The identity of a process that has ended. */
async function deadIdentity() {
  const child = spawn('sleep', ['60'])
  await once(child, 'spawn')
  const dead = { ...ownIdentity(), pid: child.pid ?? 0, startedAt: '1' }
  child.kill('SIGKILL')
  await once(child, 'exit')
  return dead
}

/** Claims of a process, with the link whose names they are. */
function createClaims(folder: { incoming: string; holders: string }, own = ownIdentity()) {
  const holder = createHolder(folder.holders, own)
  const claims = claimsOf(folder.incoming, holder)
  return {
    ...claims,
    [Symbol.dispose]() {
      claims[Symbol.dispose]()
      holder[Symbol.dispose]()
    },
  }
}

/** Folders to lay claims in, empty. */
async function claimFolders() {
  const folder = await temporaryFolder()
  const place = { incoming: `${folder.path}/incoming`, holders: `${folder.path}/holders` }
  await mkdir(place.incoming)
  await mkdir(place.holders)
  return { ...place, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
}

test('a claim is taken once, released, and taken again', async () => {
  await using folder = await claimFolders()
  using claims = createClaims(folder)
  const id = newId()
  const first = await claims.take(id)
  assert.ok(first)
  assert.equal(await claims.take(id), undefined)
  assert.equal(await claims.held(id), true)
  assert.equal(await first.stillHeld(), true)
  await first.release()
  assert.equal(await first.stillHeld(), false)
  assert.equal(await claims.held(id), false)
  const second = await claims.take(id)
  assert.ok(second)
  await first.release()
  assert.equal(await second.stillHeld(), true, 'a late release takes nothing from its successor')
  await second.release()
  assert.deepEqual(await readdir(folder.incoming), [])
})

test('of many who try at once, one wins', async () => {
  await using folder = await claimFolders()
  using claims = createClaims(folder)
  for (let round = 0; round < 20; round++) {
    const id = newId()
    const taken = await Promise.all(Array.from({ length: 25 }, () => claims.take(id)))
    assert.equal(taken.filter(Boolean).length, 1)
  }
})

test('the claim of a dead process is broken by one of many breakers', async () => {
  await using folder = await claimFolders()
  using dead = createClaims(folder, await deadIdentity())
  using claims = createClaims(folder)
  for (let round = 0; round < 20; round++) {
    const id = newId()
    const lost = await dead.take(id)
    assert.ok(lost)
    const taken = await Promise.all(Array.from({ length: 25 }, () => claims.take(id)))
    assert.equal(taken.filter(Boolean).length, 1)
    assert.equal(await lost.stillHeld(), false, 'had it lived, it would know')
    await taken.find(Boolean)?.release()
    const again = await claims.take(id)
    assert.ok(again, 'released chains are free again')
    await again.release()
  }
  assert.deepEqual(await readdir(folder.incoming), [])
})

test('breakers and releasers at once never leave two holders', async () => {
  await using folder = await claimFolders()
  using dead = createClaims(folder, await deadIdentity())
  using claims = createClaims(folder)
  const id = newId()
  await dead.take(id)
  let holders = 0
  let most = 0
  let turns = 0
  const worker = async () => {
    for (let i = 0; i < 40; i++) {
      const claim = await claims.take(id)
      if (!claim) continue
      turns++
      most = Math.max(most, ++holders)
      await new Promise(setImmediate)
      assert.equal(await claim.stillHeld(), true)
      holders--
      await claim.release()
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  assert.equal(most, 1)
  assert.ok(turns > 8)
})

test('a claim from another host holds until it has been silent for a minute', async () => {
  await using folder = await claimFolders()
  using claims = createClaims(folder)
  const id = newId()
  const link = path.join(folder.incoming, `${id}.claim`)
  await symlink(`${writeIdentity({ host: 'elsewhere', pid: 1, startedAt: '5' })}@abc-1`, link)
  assert.equal(await claims.take(id), undefined)
  const old = new Date(Date.now() - 61_000)
  await lutimes(link, old, old)
  assert.equal(await claims.held(id), false)
  assert.ok(await claims.take(id))
})

test('a claim that the file system would not let go is let go once it does', async () => {
  await using folder = await claimFolders()
  const { incoming } = folder
  using claims = createClaims(folder)
  const id = newId()
  const claim = await claims.take(id)
  // Our tests may be root, whom no mode of a folder stops: a file in its place does.
  await rename(incoming, `${incoming}.away`)
  await writeFile(incoming, '')
  await claim?.release()
  await rm(incoming)
  await rename(`${incoming}.away`, incoming)
  assert.equal(await claims.held(id), true)
  await until('it to be let go', async () => !(await claims.held(id)))
})

test('deaths are counted until somebody is through with the message', async () => {
  await using folder = await claimFolders()
  using dead = createClaims(folder, await deadIdentity())
  using claims = createClaims(folder)
  const id = newId()
  assert.equal(await claims.deaths(id), 0)
  await claims.blame(id)
  await claims.blame(id)
  assert.equal(await claims.deaths(id), 1, 'who died without a claim is known once')
  assert.equal(await claims.held(id), false)
  assert.equal((await dead.take(id))?.deaths, 1)
  assert.equal(await claims.deaths(id), 2)

  const passing = await claims.take(id)
  assert.equal(passing?.deaths, 2)
  assert.equal(await claims.deaths(id), 2, 'whoever has it now lives')
  await claims.blame(id)
  assert.equal(await passing?.stillHeld(), true)
  await passing?.pass()
  assert.equal(await claims.held(id), false)
  assert.equal(await claims.deaths(id), 2)

  const last = await claims.take(id)
  await passing?.pass()
  assert.equal(await last?.stillHeld(), true, 'a late one takes nothing from its successor')
  await last?.release()
  assert.equal(await claims.deaths(id), 0)
  assert.deepEqual(await readdir(folder.incoming), [])
})

test('claims of a process are names of one link, which goes when the process ends in order', async () => {
  await using folder = await claimFolders()
  const ids = [newId(), newId(), newId()]
  {
    using claims = createClaims(folder)
    for (const id of ids) assert.ok(await claims.take(id))
    const inodes = ids.map(id => lstatSync(path.join(folder.incoming, `${id}.claim`)).ino)
    assert.equal(new Set(inodes).size, 1)
    assert.equal((await readdir(folder.holders)).length, 1)
  }
  assert.deepEqual(await readdir(folder.holders), [])
})

test('where the link of the process is gone, or there can be none, a claim is taken all the same', async () => {
  await using folder = await claimFolders()
  using claims = createClaims(folder)
  assert.ok(await claims.take(newId()))
  for (const name of await readdir(folder.holders)) await rm(path.join(folder.holders, name))
  assert.ok(await claims.take(newId()))
  await rm(folder.holders, { recursive: true })
  const id = newId()
  const claim = await claims.take(id)
  assert.ok(claim)
  assert.equal(await claims.take(id), undefined)
  await claim.release()
  assert.ok(await claims.take(id))
})

test('a link with as many names as the file system allows is followed by another', async () => {
  await using folder = await claimFolders()
  using claims = createClaims(folder)
  const first = newId()
  assert.ok(await claims.take(first))
  // ext4 allows 65,000; where there is no such limit nothing is to be shown.
  const full = fillNames(path.join(folder.incoming, `${first}.claim`), 70_000)
  const second = newId()
  assert.ok(await claims.take(second))
  const inode = (id: string) => lstatSync(path.join(folder.incoming, `${id}.claim`)).ino
  assert.equal(inode(first) !== inode(second), full)
  assert.equal(await claims.held(second), true)
})

/** Gives a link more names; whether it came to where it takes no more. */
function fillNames(link: string, most: number): boolean {
  for (let i = 0; i < most; i++)
    try {
      linkSync(link, `${link}-name-${i}`)
    } catch {
      return true
    }
  return false
}

test('a process that was broken once is not taken for the one that was', async () => {
  await using folder = await claimFolders()
  const asleep = { ...ownIdentity(), host: 'elsewhere' }
  using sleeper = createClaims(folder, asleep)
  using claims = createClaims(folder)
  const id = newId()
  const link = path.join(folder.incoming, `${id}.claim`)
  const lost = await sleeper.take(id)
  const before = await readlink(link)
  const old = new Date(Date.now() - 61_000)
  await lutimes(link, old, old)
  const breaker = await claims.take(id)
  assert.ok(breaker)
  assert.equal(await lost?.stillHeld(), false)
  await breaker.release()
  const again = await sleeper.take(id)
  assert.ok(again)
  assert.notEqual(await readlink(link), before)
  await lost?.release()
  assert.equal(await again.stillHeld(), true)
  // What a crash of the breaker would have left.
  await symlink(`${writeIdentity(await deadIdentity())}@x-1`, `${link}.${before.split('@')[1]}`)
  assert.equal(await again.stillHeld(), true)
})

test('who read a broken chain and comes late does not take the head of the next one for its own', async () => {
  await using folder = await claimFolders()
  using dead = createClaims(folder, await deadIdentity())
  using claims = createClaims(folder)
  for (let round = 0; round < 50; round++) {
    const id = newId()
    await dead.take(id)
    const takeTwice = async () => {
      const first = await claims.take(id)
      await first?.release()
      return first ? claims.take(id) : undefined
    }
    const all = await Promise.all(Array.from({ length: 10 }, takeTwice))
    const taken = all.filter(Boolean)
    for (const claim of taken) assert.equal(await claim?.stillHeld(), true)
    assert.ok(taken.length <= 1)
  }
})
