// What is decided: every entry of the matrix, every threshold, and never "relay" for what nobody has judged.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decide } from '../../../policies/decide.ts'
import { unscannableDefaults } from '../../../policies/disposition/unscannable.ts'
import type {
  Decision,
  DomainSettings,
  MatrixAction,
  UnscannableAction,
} from '../../../policies/policy.ts'
import type { FailureKind, Reason, Report, Verdict } from '../../../scanners/scanner.ts'
import { envelopeOf } from '../scanners/fixtures.ts'

const KINDS: FailureKind[] = ['down', 'slow', 'limit', 'garbled']
const ACTIONS: MatrixAction[] = ['tempfail', 'hold', 'relay', 'relayMarked', 'reject', 'quarantine']
const SCANNERS = ['clamav', 'rspamd', 'spamassassin']

const row = (action: MatrixAction) => ({
  down: action,
  slow: action,
  limit: action,
  garbled: action,
})
const settingsOf = (failure: DomainSettings['failure'] = {}): DomainSettings => ({
  spam: { tag: 5, quarantine: 8, reject: 15 },
  failure: {
    clamav: row('tempfail'),
    rspamd: row('tempfail'),
    spamassassin: row('tempfail'),
    ...failure,
  },
  unscannable: unscannableDefaults,
})
const report = (scanner: string, verdict: Verdict): Report => ({ scanner, verdict, durationMs: 1 })
const clean = report('clamav', { kind: 'clean' })
const failed = (failure: FailureKind, scanner = 'clamav') =>
  report(scanner, { kind: 'failed', failure, cause: 'because' })
const scored = (score: number, symbols: string[] = [], scanner = 'rspamd') =>
  report(scanner, { kind: 'scored', score, symbols })
const recipient = { address: 'bob@example.org', domain: 'example.org' }

const judge = (
  reports: Report[],
  settings = settingsOf(),
  required = reports.map(r => r.scanner),
): Decision => decide(reports, envelopeOf(), recipient, settings, required)

/** What each entry means: disposition, reply, custody. */
const MEANING: Record<MatrixAction, [string, number | undefined, boolean | undefined]> = {
  tempfail: ['defer', 451, undefined],
  hold: ['defer', 451, true],
  relay: ['relay', undefined, undefined],
  relayMarked: ['relay', undefined, undefined],
  reject: ['reject', 550, undefined],
  quarantine: ['quarantine', undefined, undefined],
}

for (const failure of KINDS)
  for (const action of ACTIONS)
    test(`clamav ${failure}: ${action}`, () => {
      const others = KINDS.filter(kind => kind !== failure)
      const strict = Object.fromEntries(others.map(kind => [kind, 'reject']))
      const failing = { ...strict, [failure]: action } as Record<FailureKind, MatrixAction>
      const decision = judge([failed(failure), scored(0)], settingsOf({ clamav: failing }))
      assert.deepEqual(
        [decision.disposition, decision.reply?.code, decision.custody],
        MEANING[action],
      )
      assert.deepEqual(decision.unscanned, { scanner: 'clamav', failure, action })
      const marked = decision.fields?.includes(`X-Sallyport-Unscanned: clamav (${failure})`)
      assert.equal(marked ?? false, action === 'relayMarked')
      if (decision.reply) assert.ok(['4.7.1', '5.7.1'].includes(decision.reply.enhanced))
    })

for (const first of ACTIONS)
  for (const second of ACTIONS)
    test(`two scanners fail, ${first} and ${second}: the stricter`, () => {
      const order = ['reject', 'quarantine', 'tempfail', 'hold', 'relayMarked', 'relay']
      const settings = settingsOf({ clamav: row(first), rspamd: row(second) })
      const decision = judge([failed('down'), failed('slow', 'rspamd')], settings)
      const stricter = order.find(action => action === first || action === second) as MatrixAction
      assert.equal(decision.unscanned?.action, stricter)
      assert.equal(decision.disposition, MEANING[stricter][0])
    })

const REASONS = Object.keys(unscannableDefaults) as Reason[]
const DONE: UnscannableAction[] = ['reject', 'quarantine', 'relayMarked', 'relay']
const unscannable = (...reasons: Reason[]) => report('clamav', { kind: 'unscannable', reasons })

for (const reason of REASONS)
  for (const action of DONE)
    test(`${reason}: ${action}, whatever the matrix says of limits`, () => {
      const settings = settingsOf({ clamav: { ...row('relay'), limit: 'reject' } })
      const own = { ...settings, unscannable: { ...unscannableDefaults, [reason]: action } }
      const decision = judge([unscannable(reason)], own)
      assert.deepEqual(
        [decision.disposition, decision.reply?.code],
        MEANING[action].slice(0, 2),
        decision.reason,
      )
      assert.deepEqual(decision.unscanned, { scanner: 'clamav', failure: reason, action })
      const marked = decision.fields?.includes(`X-Sallyport-Unscanned: clamav (${reason})`)
      assert.equal(marked ?? false, action === 'relayMarked')
    })

test('by default nothing that nobody looked into passes unmarked', () => {
  const passing = REASONS.filter(reason => judge([unscannable(reason)]).disposition === 'relay')
  assert.deepEqual(passing, ['message-external-body', 'encrypted-mail'])
  for (const reason of passing) assert.equal(unscannableDefaults[reason], 'relayMarked')
})

test('of several reasons the strictest counts, in whatever order and from whichever scanner', () => {
  for (const reasons of [
    ['encrypted-mail', 'message-partial'],
    ['message-partial', 'encrypted-mail'],
  ] as const)
    assert.equal(judge([unscannable(...reasons)]).disposition, 'quarantine')
  const other = report('rspamd', { kind: 'unscannable', reasons: ['too-deep'] })
  assert.equal(judge([unscannable('encrypted-mail'), other]).disposition, 'quarantine')
  assert.equal(judge([unscannable()]).disposition, 'quarantine')
})

test('a virus is refused, whatever else was found, failed or missing', () => {
  const bad = report('clamav', { kind: 'infected', name: 'Eicar\r\nX: y' })
  const decision = judge([failed('down', 'rspamd'), bad], settingsOf(), SCANNERS)
  assert.deepEqual(
    [decision.disposition, decision.policy, decision.reply],
    ['reject', 'infected', { code: 550, enhanced: '5.7.1', text: 'Message contains a virus' }],
  )
  assert.equal(decision.reason, 'clamav: Eicar X: y')
})

test('spam by score: at a threshold is over it; the highest score counts', () => {
  const dispositions = [4.99, 5, 7.99, 8, 14.99, 15, 1e6].map(score => {
    const { disposition, fields = [] } = judge([
      clean,
      scored(-3),
      scored(score, ['A'], 'spamassassin'),
    ])
    return `${disposition}${fields.some(f => f.startsWith('X-Sallyport-Spam:')) ? '+tag' : ''}`
  })
  assert.deepEqual(dispositions, [
    'relay',
    'relay+tag',
    'relay+tag',
    'quarantine',
    'quarantine',
    'reject',
    'reject',
  ])
})

test('spam is refused even where the matrix lets the missing virus scan pass', () => {
  const settings = settingsOf({ clamav: row('relayMarked') })
  assert.equal(judge([failed('down'), scored(20)], settings).policy, 'spam')
})

test('fields tell what was found', () => {
  const settings = settingsOf({ clamav: row('relayMarked') })
  assert.deepEqual(judge([failed('down'), scored(6.204, ['A', 'B'])], settings).fields, [
    'X-Sallyport-Scanned: clamav=down, rspamd=6.2',
    'X-Sallyport-Unscanned: clamav (down)',
    'X-Sallyport-Spam: yes, score=6.2',
    'X-Sallyport-Spam-Symbols: A, B',
  ])
  assert.deepEqual(judge([clean]).fields, ['X-Sallyport-Scanned: clamav=clean'])
})

test('a missing report is garbled; a score that is no number too; a missing row is tempfail', () => {
  assert.deepEqual(judge([clean], settingsOf(), ['clamav', 'rspamd']).unscanned, {
    scanner: 'rspamd',
    failure: 'garbled',
    action: 'tempfail',
  })
  for (const score of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    assert.equal(judge([clean, scored(score)]).unscanned?.failure, 'garbled')
  const unknown = failed('down', 'new-scanner')
  assert.equal(judge([clean, unknown]).disposition, 'defer')
})

const text = fc.string({ unit: 'binary', maxLength: 1200 })
const verdict: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constant<Verdict>({ kind: 'clean' }),
  fc.record({ kind: fc.constant('infected' as const), name: text }),
  fc.record({ kind: fc.constant('scored' as const), score: fc.double(), symbols: fc.array(text) }),
  fc.record({
    kind: fc.constant('unscannable' as const),
    reasons: fc.subarray([...REASONS], { minLength: 1 }),
  }),
  fc.record({
    kind: fc.constant('failed' as const),
    failure: fc.constantFrom(...KINDS),
    cause: text,
  }),
)
const action = fc.constantFrom(...ACTIONS)
const anyRow = fc.record({ down: action, slow: action, limit: action, garbled: action })
const anyReport = fc.record({
  scanner: fc.constantFrom(...SCANNERS),
  verdict,
  durationMs: fc.constant(1),
})
const anySettings = fc.record({
  spam: fc.constant({ tag: 5, quarantine: 8, reject: 15 }),
  failure: fc.record({ clamav: anyRow, rspamd: anyRow, spamassassin: anyRow }),
  unscannable: fc.record(
    Object.fromEntries(REASONS.map(reason => [reason, fc.constantFrom(...DONE)])) as Record<
      Reason,
      fc.Arbitrary<UnscannableAction>
    >,
  ),
})

test('I2: relay only with a verdict of every required scanner, or an entry that lets it pass', () => {
  fc.assert(
    fc.property(
      fc.array(anyReport, { maxLength: 5 }),
      anySettings,
      fc.subarray(SCANNERS),
      (reports, settings, required) => {
        const decision = judge(reports, settings, required)
        if (decision.disposition !== 'relay') return
        const passes = (scanner: string, kind: FailureKind) =>
          ['relay', 'relayMarked'].includes(
            settings.failure[scanner as keyof typeof settings.failure][kind],
          )
        for (const { scanner, verdict: v } of reports) {
          assert.notEqual(v.kind, 'infected')
          if (v.kind === 'failed') assert.ok(passes(scanner, v.failure))
          if (v.kind === 'unscannable')
            for (const reason of v.reasons)
              assert.ok(['relay', 'relayMarked'].includes(settings.unscannable[reason]))
          if (v.kind === 'scored') {
            if (!Number.isFinite(v.score)) assert.ok(passes(scanner, 'garbled'))
            else assert.ok(v.score < settings.spam.quarantine)
          }
        }
        for (const scanner of required)
          if (!reports.some(r => r.scanner === scanner)) assert.ok(passes(scanner, 'garbled'))
        const unjudged = reports.some(r => r.verdict.kind === 'failed')
        if (unjudged) assert.ok(decision.unscanned)
      },
    ),
    { numRuns: 2000 },
  )
})

test('whatever was found, words stay on one line of printable ASCII, and classes fit', () => {
  fc.assert(
    fc.property(fc.array(anyReport, { maxLength: 5 }), anySettings, (reports, settings) => {
      const { fields = [], reason, reply, disposition } = judge(reports, settings)
      for (const each of fields) {
        assert.match(each, /^X-Sallyport-[A-Za-z-]+: [\x20-\x7e]*$/)
        assert.ok(each.length <= 998)
      }
      assert.match(reason, /^[\x20-\x7e]{1,300}$/)
      if (disposition === 'reject') assert.equal(reply?.code, 550)
      if (disposition === 'defer') assert.equal(reply?.code, 451)
    }),
    { numRuns: 1000 },
  )
})
