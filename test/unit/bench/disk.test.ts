// `--disk`: a file system made for the bench, or a folder; nothing of it is left.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { openDisk } from '../../bench/disk.ts'
import { temporaryFolder } from '../../support/process.ts'

test('ext4 is made with a journal and removed, or it is said what else to do', async () => {
  await using own = await temporaryFolder('disk-test')
  const before = process.env.TMPDIR
  process.env.TMPDIR = own.path
  let point = ''
  try {
    await using disk = await openDisk('ext4')
    point = tmpdir()
    assert.notEqual(point, own.path)
    assert.equal(disk.fileSystem.point, point)
    assert.deepEqual(disk.lines, ['files on ext4 with a journal'])
    writeFileSync(path.join(point, 'x'), 'x')
  } catch (error) {
    // Not root, or in a container: then there is nothing to look at but the words.
    assert.match(String(error), /--disk ext4.*, or say --disk FOLDER/)
  }
  assert.equal(tmpdir(), own.path)
  assert.deepEqual(readdirSync(own.path), [])
  assert.ok(point === '' || !readFileSync('/proc/self/mounts', 'utf8').includes(point))
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
})

test('a folder is used as it is', async () => {
  await using own = await temporaryFolder('disk-test')
  const before = tmpdir()
  {
    await using disk = await openDisk(own.path)
    assert.equal(tmpdir(), own.path)
    assert.match(disk.lines[0] ?? '', /^files on \w+/)
  }
  assert.equal(tmpdir(), before)
})

test('what is neither is refused', async () => {
  for (const wrong of ['/nowhere/at/all', import.meta.filename])
    await assert.rejects(openDisk(wrong), /neither ext4 nor a folder/)
})
