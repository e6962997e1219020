// Files changed at random: looking into them never throws, never hangs, and stays within its limits.
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createLookout } from '../../../../scanners/attachments/look.ts'
import { namesOf } from '../../../../scanners/attachments/names.ts'
import { createBudget, LIMITS } from '../../../../scanners/mime/limits.ts'
import { createScratch, inMemory } from '../../../../scanners/mime/octets.ts'
import { FILES, HARMLESS, PE, tarOf, zipOf } from './files.ts'

const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 3_000)
/** A linear congruential generator: the same run each time. */
let seed = 20_261_124
const random = (below: number): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor((seed / 2 ** 32) * below)
}

function mutated(file: Buffer): Buffer {
  const copy = Buffer.from(file.subarray(0, random(4) === 0 ? random(file.length) : file.length))
  for (let i = random(12); i >= 0 && copy.length > 0; i--) {
    const at = random(random(2) === 0 ? Math.min(64, copy.length) : copy.length)
    copy[at] = [0, 0xff, 0x7f, 0x80, 0x2d, random(256)][random(6)] ?? 0
  }
  return copy
}

const tnef = Buffer.concat([
  Buffer.from('789f3e22010001', 'hex'),
  Buffer.from('0210800100090000006576696c2e657865000000', 'hex'),
])
const files = [
  ...Object.values(FILES).flat(),
  ...Object.values(HARMLESS),
  ...[tnef, tarOf({ 'a.exe': PE }), gzipSync(tarOf({ 'b.zip': zipOf({ 'c.exe': PE }) }))],
]

test(`${ROUNDS} files`, async () => {
  const startedAt = process.cpuUsage()
  for (let round = 0; round < ROUNDS; round++) {
    using scratch = createScratch(tmpdir())
    const file = mutated(files[random(files.length)] ?? PE)
    const budget = createBudget(LIMITS, file.length, new AbortController().signal)
    const { kinds, inside } = await createLookout(
      { scratch, budget },
      () => undefined,
    )(inMemory(file))
    assert.ok(kinds.length < 15 && inside.length <= 20_000)
  }
  assert.ok(process.cpuUsage(startedAt).user < ROUNDS * 20_000)
})

test(`${ROUNDS} names`, () => {
  const alphabet = [
    'filename',
    'name',
    '*',
    '0',
    '1',
    '=',
    '"',
    "'",
    ';',
    ' ',
    '\\',
    '%2E',
    '=?',
    '?=',
    '?B?',
    'utf-8',
    '.exe',
    '\0',
    '(',
    ')',
    'é',
    '/',
    ':',
  ]
  for (let round = 0; round < ROUNDS; round++) {
    const value = Array.from({ length: random(60) }, () => alphabet[random(alphabet.length)]).join(
      '',
    )
    const { names } = namesOf([{ name: 'content-disposition', value }])
    for (const name of names) assert.match(name, /^[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u)
  }
})
