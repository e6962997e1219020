// The claim: one holder at a time, whatever dies, and a loser that knows it lost.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lutimes, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { createClaims } from '../../../gateway/spool/claim.ts'
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

test('a claim is taken once, released, and taken again', async () => {
  await using folder = await temporaryFolder()
  using claims = createClaims(folder.path)
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
  assert.deepEqual(await readdir(folder.path), [])
})

test('of many who try at once, one wins', async () => {
  await using folder = await temporaryFolder()
  using claims = createClaims(folder.path)
  for (let round = 0; round < 20; round++) {
    const id = newId()
    const taken = await Promise.all(Array.from({ length: 25 }, () => claims.take(id)))
    assert.equal(taken.filter(Boolean).length, 1)
  }
})

test('the claim of a dead process is broken by one of many breakers', async () => {
  await using folder = await temporaryFolder()
  using dead = createClaims(folder.path, await deadIdentity())
  using claims = createClaims(folder.path)
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
  assert.deepEqual(await readdir(folder.path), [])
})

test('breakers and releasers at once never leave two holders', async () => {
  await using folder = await temporaryFolder()
  using dead = createClaims(folder.path, await deadIdentity())
  using claims = createClaims(folder.path)
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
  await using folder = await temporaryFolder()
  using claims = createClaims(folder.path)
  const id = newId()
  const link = path.join(folder.path, `${id}.claim`)
  await symlink(`${writeIdentity({ host: 'elsewhere', pid: 1, startedAt: '5' })}@abc-1`, link)
  assert.equal(await claims.take(id), undefined)
  const old = new Date(Date.now() - 61_000)
  await lutimes(link, old, old)
  assert.equal(await claims.held(id), false)
  assert.ok(await claims.take(id))
})

test('a claim that the file system would not let go is let go once it does', async () => {
  await using folder = await temporaryFolder()
  const incoming = path.join(folder.path, 'incoming')
  await mkdir(incoming)
  using claims = createClaims(incoming)
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
  await using folder = await temporaryFolder()
  using dead = createClaims(folder.path, await deadIdentity())
  using claims = createClaims(folder.path)
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
  assert.deepEqual(await readdir(folder.path), [])
})
