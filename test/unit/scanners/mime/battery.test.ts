// The reader alone finds the payload of every variant, or says that nobody can; and says nothing of the usual shapes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EICAR } from '../../../support/eicar.ts'
import { read } from './reading.ts'
import { HARMLESS, variants } from './variants.ts'

/** Honest archives are left to the engine: the reader hands them over whole. */
const OPENED_BY_ENGINE = new Set([
  'zip',
  'zip in zip',
  'zip with bzip2',
  'bzip2 in two streams',
  'PDF with a file in hexadecimal and Flate',
])
const MAGIC = [Buffer.from('PK\x03\x04', 'latin1'), Buffer.from('BZh'), Buffer.from('%PDF-')]

test('there are at least 120, each with a name of its own', () => {
  assert.ok(variants.length >= 120)
  assert.equal(new Set(variants.map(({ name }) => name)).size, variants.length)
  assert.equal(HARMLESS.length, EICAR.length)
})

for (const { name, build, isLegitimate } of variants)
  test(name, async () => {
    const { leaves, reason } = await read(build(EICAR))
    const isFound = leaves.some(leaf => leaf.includes(EICAR))
    const isArchive = leaves.some(leaf => MAGIC.some(magic => leaf.indexOf(magic) === 0))
    assert.ok(isFound || reason || (OPENED_BY_ENGINE.has(name) && isArchive))
    const twin = await read(build(HARMLESS))
    assert.ok(!twin.leaves.some(leaf => leaf.includes(EICAR)))
    assert.equal(twin.reason, reason)
    if (isLegitimate) assert.equal(twin.reason, undefined)
    const onDisk = await read(build(EICAR), { onDisk: true })
    assert.deepEqual(onDisk.leaves, leaves)
    assert.equal(onDisk.reason, reason)
  })
