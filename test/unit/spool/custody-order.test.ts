// The order of system calls that custody rests on: whatever a power cut leaves, 250 was said only for what is there.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { newId } from '../../../gateway/spool/id.ts'
import { temporaryFolder } from '../../support/process.ts'

test('content, log, incoming/, envelope, rename, queued/; and the envelope goes first', async () => {
  await using folder = await temporaryFolder()
  const id = newId()
  const trace = path.join(folder.path, 'trace')
  const spool = path.join(folder.path, 'spool')
  const taker = path.join(import.meta.dirname, '../../support/custody-taker.ts')
  const calls = 'trace=fsync,fdatasync,rename,renameat2,unlink'
  const args = ['-f', '-y', '-e', calls, '-o', trace, process.execPath, taker, spool, id]
  const { status, stderr } = spawnSync('strace', args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const lines = (await readFile(trace, 'utf8')).split('\n').filter(line => line.includes(spool))
  const done = lines.flatMap(line => {
    const [, call = '', what = ''] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? []
    const short = what.replaceAll(`${spool}/`, '').replaceAll(id, 'ID')
    const [first = ''] = /(?:<[^>]*>|"[^"]*")/.exec(short) ?? []
    return [`${call.replace('renameat2', 'rename')} ${first.slice(1, -1)}`]
  })
  const [one = '', other = '', ...rest] = done
  // These two are independent of each other.
  assert.deepEqual([one, other].sort(), ['fsync incoming/ID.eml', 'fsync incoming/ID.log'])
  assert.deepEqual(rest, [
    'fsync incoming',
    'fsync incoming/ID.envelope',
    'rename incoming/ID.envelope',
    'fsync queued',
    // What a worker wrote down meanwhile; and an outcome in custody.
    'fsync incoming/ID.log',
    'fsync incoming/ID.log',
    'unlink queued/ID.json',
    'fsync queued',
    'unlink incoming/ID.eml',
    'unlink incoming/ID.log',
  ])
})
