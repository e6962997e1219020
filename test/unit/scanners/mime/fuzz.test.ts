// The reader survives whatever is made of the battery's messages, in bounded time; SALLYPORT_FUZZ_RUNS asks for more.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EICAR } from '../../../support/eicar.ts'
import { chance, mutate } from './mutate.ts'
import { read } from './reading.ts'
import { variants } from './variants.ts'

const RUNS = Number(process.env.SALLYPORT_FUZZ_RUNS ?? 5_000)
const SEED = Number(process.env.SALLYPORT_FUZZ_SEED ?? 1)
/** Of CPU for one small message: the machine may be busy with other tests. */
const MOST_MS = 2_000

test(`${RUNS} mutated messages: no exception, no long time`, { timeout: 100 * RUNS }, async t => {
  const next = chance(SEED)
  const messages = variants.map(({ build }) => build(EICAR))
  let slowestMs = 0
  for (let run = 0; run < RUNS; run++) {
    const content = mutate(messages[next(messages.length)] ?? Buffer.alloc(0), next)
    const before = process.cpuUsage()
    await read(content).catch(error => assert.fail(`run ${run}: ${error.stack}`))
    const { user, system } = process.cpuUsage(before)
    const tookMs = (user + system) / 1000
    slowestMs = Math.max(slowestMs, tookMs)
    assert.ok(tookMs < MOST_MS, `run ${run} took ${tookMs} ms`)
  }
  t.diagnostic(`slowest: ${slowestMs.toFixed(1)} ms`)
})
