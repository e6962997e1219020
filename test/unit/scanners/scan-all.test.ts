// All scanners at once, one report each, whatever they do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { scanAll } from '../../../scanners/scan-all.ts'
import type { Finding, Scanner } from '../../../scanners/scanner.ts'
import { envelopeOf } from './fixtures.ts'

const message = { envelope: envelopeOf(), content: { path: '/nonexistent', sizeBytes: 1 } }
const scanner = (
  name: string,
  scan: (signal: AbortSignal) => Promise<Finding>,
  deadlineMs = 5000,
): Scanner => ({
  name,
  deadlineMs,
  scan: (_message, signal) => scan(signal),
  engines: () => [],
  [Symbol.asyncDispose]: async () => {},
})
const clean: Finding = { verdict: { kind: 'clean' } }
const never = () => new Promise<Finding>(() => {})

test('side by side, in their order, with what else they found', async () => {
  const authentication = { spf: true, dkim: false }
  const startedAt = Date.now()
  const reports = await scanAll(
    [
      scanner('a', () => sleep(200, clean)),
      scanner('b', () => sleep(200, { ...clean, authentication })),
    ],
    message,
  )
  assert.ok(Date.now() - startedAt < 390)
  assert.deepEqual(
    reports.map(r => [r.scanner, r.verdict.kind, r.authentication, r.durationMs >= 190]),
    [
      ['a', 'clean', undefined, true],
      ['b', 'clean', authentication, true],
    ],
  )
})

test('one that never settles is slow; one that rejects or throws is garbled', async () => {
  const reports = await scanAll(
    [
      scanner('never', never, 100),
      scanner('rejects', () => Promise.reject(new Error('a bug'))),
      scanner('throws', () => {
        throw new Error('a bug')
      }),
    ],
    message,
  )
  assert.deepEqual(
    reports.map(r => r.verdict.kind === 'failed' && r.verdict.failure),
    ['slow', 'garbled', 'garbled'],
  )
})

test('at its deadline a scanner is told, and may still report', async () => {
  let reason: unknown
  const told = scanner(
    'told',
    signal =>
      new Promise(resolve => {
        signal.addEventListener('abort', () => {
          reason = signal.reason
          resolve({ verdict: { kind: 'failed', failure: 'slow', cause: 'mine' } })
        })
      }),
    50,
  )
  const [report] = await scanAll([told], message)
  assert.deepEqual(report?.verdict, { kind: 'failed', failure: 'slow', cause: 'mine' })
  assert.equal((reason as Error).name, 'TimeoutError')
})

test('a virus calls off the others, and every one of them has its report', async () => {
  const startedAt = Date.now()
  const reports = await scanAll(
    [scanner('a', never), scanner('b', async () => ({ verdict: { kind: 'infected', name: 'X' } }))],
    message,
  )
  assert.ok(Date.now() - startedAt < 2000)
  assert.deepEqual(
    reports.map(r => r.verdict.kind),
    ['failed', 'infected'],
  )
})

test('called off before it began, or midway: failed, not clean', async () => {
  const [before] = await scanAll([scanner('a', never)], message, AbortSignal.abort())
  assert.equal(before?.verdict.kind, 'failed')
  const [midway] = await scanAll([scanner('a', never)], message, AbortSignal.timeout(50))
  assert.equal(midway?.verdict.kind, 'failed')
})

test('no scanners, no reports', async () => {
  assert.deepEqual(await scanAll([], message), [])
})
