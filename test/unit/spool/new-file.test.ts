// A file made and written by its descriptor: in order, once, and never over another.
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createFile } from '../../../gateway/spool/new-file.ts'
import { temporaryFolder } from '../../support/process.ts'

describe('a new file', () => {
  it('is what was written, piece after piece', async () => {
    await using folder = await temporaryFolder('new-file')
    const path = `${folder.path}/one`
    const file = createFile(path)
    const pieces = [Buffer.from('a'), Buffer.from('bc')]
    assert.deepEqual(await file.writev(pieces), { bytesWritten: 3 })
    assert.deepEqual(await file.writev([Buffer.from('d')]), { bytesWritten: 1 })
    await file.close()
    assert.equal(readFileSync(path, 'utf8'), 'abcd')
    assert.equal(statSync(path).mode & 0o777 & ~0o640, 0)
  })

  it('never takes the place of one that is there', async () => {
    await using folder = await temporaryFolder('new-file')
    const path = `${folder.path}/one`
    await createFile(path).close()
    assert.throws(() => createFile(path), { code: 'EEXIST' })
  })

  it('says what the system has against writing and closing', async () => {
    await using folder = await temporaryFolder('new-file')
    const file = createFile(`${folder.path}/one`)
    await file.close()
    await assert.rejects(file.writev([Buffer.from('x')]), { code: 'EBADF' })
    await assert.rejects(file.close(), { code: 'EBADF' })
  })
})
