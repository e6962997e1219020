// What the bench says of the file system it measures on.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileSystemOf, mountOf, nameOf, warningOf } from '../../bench/file-system.ts'

const MOUNTINFO = `21 26 0:20 / /proc rw,relatime - proc proc rw
26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 26 0:27 / /srv rw - xfs /dev/sdb1 rw
31 30 0:28 / /srv/my\\040mail rw master:1 - btrfs /dev/sdc rw
32 26 0:30 / /srv rw - tmpfs tmpfs rw
`

test('a path lies on the deepest mount above it, and on the last of those', () => {
  const root = { point: '/', type: 'ext4', device: '/dev/vda' }
  assert.deepEqual(mountOf(MOUNTINFO, '/var/tmp'), root)
  assert.deepEqual(mountOf(MOUNTINFO, '/srv2'), root)
  assert.deepEqual(mountOf(MOUNTINFO, '/srv'), { point: '/srv', type: 'tmpfs', device: 'tmpfs' })
  assert.equal(mountOf(MOUNTINFO, '/srv/my mail/x')?.type, 'btrfs')
  assert.equal(mountOf('', '/srv'), undefined)
})

test('the real one is found, with or without a journal where it is ext4', () => {
  assert.equal(fileSystemOf('/proc/self').type, 'proc')
  assert.equal(fileSystemOf('/proc').journal, undefined)
  const all = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  for (const mount of all.filter(line => line.includes(' - ext4 /dev/'))) {
    const found = fileSystemOf(mount.split(' ')[4] ?? '')
    if (found.type === 'ext4') assert.equal(typeof found.journal, 'boolean')
  }
})

test('only ext4 without a journal is warned about', () => {
  const mount = { point: '/', type: 'ext4', device: '/dev/vda' }
  assert.equal(nameOf({ ...mount, journal: true }), 'ext4 with a journal')
  assert.equal(nameOf({ ...mount, journal: false }), 'ext4 without a journal')
  assert.equal(nameOf({ ...mount, type: 'xfs', journal: undefined }), 'xfs')
  assert.equal(warningOf({ ...mount, journal: true }), undefined)
  assert.equal(warningOf({ ...mount, type: 'xfs', journal: undefined }), undefined)
  assert.match(warningOf({ ...mount, journal: false }) ?? '', /^warning: .*--disk$/)
})
