// Sizes and durations, as people write them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { duration, parseDuration, parseSize, size } from '../../../gateway/config/units.ts'

test('sizes', () => {
  const sizes: [string, number | undefined][] = [
    ['0', 0],
    ['4096', 4096],
    ['64KiB', 65_536],
    ['64 kib', 65_536],
    ['1KB', 1000],
    ['50MiB', 52_428_800],
    ['1.5MiB', 1_572_864],
    ['1GB', 1_000_000_000],
    ['-1', undefined],
    ['50M', undefined],
    ['MiB', undefined],
    ['1e6', undefined],
    ['', undefined],
  ]
  for (const [text, octets] of sizes) assert.equal(parseSize(text), octets, text)
})

test('durations', () => {
  const durations: [string, number | undefined][] = [
    ['30', 30_000],
    ['500ms', 500],
    ['30s', 30_000],
    ['10 m', 600_000],
    ['4h', 14_400_000],
    ['5d', 432_000_000],
    ['0.5h', 1_800_000],
    ['5 days', undefined],
    ['-1s', undefined],
    ['Infinity', undefined],
    ['1M', undefined],
  ]
  for (const [text, milliseconds] of durations) {
    assert.equal(parseDuration(text), milliseconds, text)
  }
})

test('a setting keeps to its range, both ends included', () => {
  const setting = size('1KiB', '1MiB')
  assert.equal(setting.parse('1KiB'), 1024)
  assert.equal(setting.parse(1_048_576), 1_048_576)
  assert.equal(setting.safeParse(1023).success, false)
  assert.equal(setting.safeParse('2MiB').success, false)
  assert.equal(setting.safeParse(Number.NaN).success, false)
  assert.equal(duration('1s', '1h').safeParse('2h').success, false)
})
