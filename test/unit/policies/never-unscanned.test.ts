// I2 for every scanner there is: with the defaults of the configuration no failure of any of them lets mail through.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { domainSettings, requiredScanners } from '../../../gateway/config/domain-settings.ts'
import { type Config, configSchema } from '../../../gateway/config/schema.ts'
import { decide } from '../../../policies/decide.ts'
import type { FailureKind, Report, Verdict } from '../../../scanners/scanner.ts'
import { type ConfigFolder, configFolder, leastConfig } from '../config/fixtures.ts'
import { envelopeOf } from '../scanners/fixtures.ts'

const SCANNERS = {
  clamav: '{ addresses: ["tcp:127.0.0.1:1"] }',
  rspamd: '{ url: "http://127.0.0.1:1" }',
  spamassassin: '{ address: "tcp:127.0.0.1:1" }',
  icap: '{ one: { urls: ["icap://127.0.0.1:1/a"] }, two: { urls: ["icap://127.0.0.1:2/a"] } }',
  command:
    '{ one: { program: /bin/true, arguments: ["{file}"], exitCodes: { 0: clean, 1: infected } } }',
}
const NAMES = ['clamav', 'rspamd', 'spamassassin', 'icap-one', 'icap-two', 'command-one']
const KINDS: FailureKind[] = ['down', 'slow', 'limit', 'garbled']
const recipient = { address: 'bob@example.org', domain: 'example.org' }

let folder: ConfigFolder
before(async () => {
  folder = await configFolder()
})
after(() => folder[Symbol.asyncDispose]())

async function configured(...more: string[]): Promise<Config> {
  const scanners = Object.entries(SCANNERS).map(([name, written]) => `  ${name}: ${written}`)
  const read = await folder.read(leastConfig('scanners:', ...scanners, ...more))
  if ('faults' in read) assert.fail(JSON.stringify(read.faults))
  return read.config
}
const judge = (config: Config, reports: Report[]) =>
  decide(
    reports,
    envelopeOf(),
    recipient,
    domainSettings(config, recipient.domain),
    requiredScanners(config),
  )
const clean = (scanner: string): Report => ({ scanner, verdict: { kind: 'clean' }, durationMs: 1 })

test('every scanner the schema knows is looked at here', () => {
  assert.deepEqual(
    Object.keys(SCANNERS).toSorted(),
    Object.keys(configSchema.shape.scanners.unwrap().shape).toSorted(),
  )
})

test('each of them is required, with a row of its own', async () => {
  const config = await configured()
  assert.deepEqual(requiredScanners(config).toSorted(), NAMES.toSorted())
  const { failure } = domainSettings(config, 'example.org')
  assert.deepEqual(Object.keys(failure).toSorted(), NAMES.toSorted())
})

test('all clean is relayed: the test can tell', async () => {
  assert.equal(judge(await configured(), NAMES.map(clean)).disposition, 'relay')
})

for (const failing of NAMES)
  test(`${failing}: no kind of failure, and no missing report, lets mail through`, async () => {
    const config = await configured()
    const others = NAMES.filter(name => name !== failing).map(clean)
    assert.notEqual(judge(config, others).disposition, 'relay')
    for (const failure of KINDS) {
      const verdict: Verdict = { kind: 'failed', failure, cause: 'because' }
      const decision = judge(config, [...others, { scanner: failing, verdict, durationMs: 1 }])
      assert.ok(['defer', 'quarantine', 'reject'].includes(decision.disposition), failure)
      assert.deepEqual(decision.unscanned?.scanner, failing)
    }
  })

test('a row holds for each scanner of its kind', async () => {
  const config = await configured('failure: { icap: { down: relayMarked } }')
  const down: Verdict = { kind: 'failed', failure: 'down', cause: 'because' }
  for (const failing of NAMES) {
    const others = NAMES.filter(name => name !== failing).map(clean)
    const decision = judge(config, [...others, { scanner: failing, verdict: down, durationMs: 1 }])
    assert.equal(decision.disposition === 'relay', failing.startsWith('icap-'), failing)
  }
})
