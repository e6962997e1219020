// Octets in a file are those in memory, however they are asked for; a sink hands out what it was given, wherever that lay.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { createBudget, LIMITS } from '../../../../scanners/mime/limits.ts'
import {
  createRoom,
  createScratch,
  inMemory,
  type Octets,
} from '../../../../scanners/mime/octets.ts'
import { temporaryFolder } from '../../../support/process.ts'

const SIZE_BYTES = 200_000
const content = Buffer.from(Array.from({ length: SIZE_BYTES }, (_, i) => (i * i + (i >> 8)) & 255))
const offset = fc.nat(SIZE_BYTES + 100)
const range = fc.tuple(offset, fc.oneof(fc.nat(100), fc.nat(20_000), fc.nat(SIZE_BYTES)))
const budget = (memoryBytes = 1_000) =>
  createBudget({ ...LIMITS, memoryBytes }, SIZE_BYTES, new AbortController().signal)
const whole = (octets: Octets): Buffer => octets.slice(0, octets.sizeBytes)

test('slices of a file and of its views are those of memory, in any order, with room and without', async () => {
  await using folder = await temporaryFolder('octets')
  const file = path.join(folder.path, 'content')
  writeFileSync(file, content)
  const slices = fc.array(fc.record({ view: fc.nat(3), range, isRoomy: fc.boolean() }))
  fc.assert(
    fc.property(fc.array(range, { maxLength: 3 }), slices, (ranges, asked) => {
      using scratch = createScratch(folder.path)
      const room = createRoom()
      const [inFile, memory] = [scratch.open(file, SIZE_BYTES), inMemory(content)].map(all => [
        all,
        ...ranges.map(([from, length]) => all.view(from, from + length)),
      ]) as [Octets[], Octets[]]
      const kept: [Buffer, Buffer][] = []
      for (const { view, range: of, isRoomy } of asked) {
        const [from, to] = [of[0], of[0] + of[1]]
        const found = inFile[view]?.slice(from, to, isRoomy ? room : undefined)
        const expected = memory[view]?.slice(from, to)
        assert.deepEqual(found, expected)
        if (!isRoomy && found && expected) kept.push([found, expected])
      }
      // Without room they stay as they were, whatever is read later.
      for (const [found, expected] of kept) assert.deepEqual(found, expected)
    }),
    { numRuns: 200 },
  )
})

test('a sink keeps a copy: the place a chunk lay in may be used again', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 1_500 }), { maxLength: 8 })
  fc.assert(
    fc.property(chunks, fc.nat(3_000), (all, likelyBytes) => {
      using scratch = createScratch(tmpdir())
      const sink = scratch.sink(budget(), likelyBytes)
      for (const chunk of all) {
        const place = Buffer.from(chunk)
        assert.equal(sink.write(place), true)
        place.fill(0xaa)
      }
      const expected = Buffer.concat(all)
      assert.equal(sink.sizeBytes, expected.length)
      assert.deepEqual(whole(sink.finish()), expected)
    }),
    { numRuns: 300 },
  )
})

test('a decoder that makes less than was likely holds no more than twice what it made', () => {
  using scratch = createScratch(tmpdir())
  const sink = scratch.sink(budget(LIMITS.memoryBytes), 200_000)
  sink.write(Buffer.alloc(50_000))
  assert.ok(whole(sink.finish()).buffer.byteLength <= 100_000)
})
