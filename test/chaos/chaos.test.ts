// A short run of the prover: whatever is killed, nothing acknowledged is lost, doubled without excuse, altered or infected.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULTS } from './faults.ts'
import { run } from './run.ts'

const SECONDS = 25
const ACKNOWLEDGED = 100
/** What costs a gateway its memory most directly; the long run has the rest. */
const SHORT = [
  'worker-kill',
  'gateway-kill',
  'redis-kill',
  'redis-empty',
  'redis-flush',
  'clamd-kill',
  'inbox-down',
  'inbox-hang-up',
]

test('under kill -9 of workers, gateway, Redis and clamd the account is right', {
  timeout: 240_000,
}, async () => {
  const seed = 3
  assert.deepEqual(
    SHORT.filter(name => !(name in FAULTS)),
    [],
  )
  const outcome = await run({
    seconds: SECONDS,
    atLeast: ACKNOWLEDGED + 1,
    seed,
    faults: SHORT,
    layout: 'one',
    clients: 20,
    longestPauseMs: 1500,
    patient: false,
  })
  const { account, record, right } = outcome
  const again = `npm run chaos -- --seconds ${SECONDS} --seed ${seed} --faults ${SHORT.join()}`
  assert.ok(account.acknowledged > ACKNOWLEDGED, `only ${account.acknowledged} acknowledged`)
  assert.ok(record.faults.length > 5, `only ${record.faults.length} faults`)
  assert.ok(right, `${JSON.stringify({ ...account, violations: record.violations })}; ${again}`)
})
