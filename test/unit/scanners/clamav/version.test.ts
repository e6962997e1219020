// clamd's VERSION reply, with and without official signatures.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseVersion } from '../../../../scanners/clamav/clamd.ts'

const now = Date.UTC(2026, 10, 24, 9, 26, 4)

test('program, signatures and their age', () => {
  assert.deepEqual(parseVersion('ClamAV 1.4.6/27450/Mon Nov 23 09:26:04 2026\n', now), {
    version: 'ClamAV 1.4.6',
    signatures: '27450',
    signatureAgeSeconds: 86_400,
  })
})

test('without signatures only the program; garbage is no version', () => {
  assert.deepEqual(parseVersion('ClamAV 1.4.6\0', now), { version: 'ClamAV 1.4.6' })
  for (const reply of ['', 'PONG\n', 'ClamAV', 'ClamAV 1.4.6\nmore'])
    assert.equal(parseVersion(reply, now), undefined)
})
