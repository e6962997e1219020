// The attachment rules: what fits, what a second name can't undo, which action wins, and that texts are safe to repeat.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decide } from '../../../policies/decide.ts'
import { createRules, matches } from '../../../policies/disposition/attachment-rules.ts'
import { STANDARD } from '../../../policies/disposition/attachment-standard.ts'
import { unscannableDefaults } from '../../../policies/disposition/unscannable.ts'
import type { AttachmentRule, Decision, DomainSettings } from '../../../policies/policy.ts'
import type { Attachment, Reason, Report, Verdict } from '../../../scanners/scanner.ts'
import { envelopeOf } from '../scanners/fixtures.ts'

const file = (name: string, more: Partial<Attachment> = {}): Attachment => ({
  ...{ names: [name], types: [], kinds: [], packed: false },
  ...more,
})
const row = { down: 'tempfail', slow: 'tempfail', limit: 'tempfail', garbled: 'tempfail' } as const
const report = (scanner: string, verdict: Verdict): Report => ({ scanner, verdict, durationMs: 1 })

function judge(
  found: Attachment[],
  rules: AttachmentRule[] = [],
  {
    standard = true,
    unread,
    others = [],
  }: { standard?: boolean; unread?: Reason[]; others?: Report[] } = {},
): Decision {
  const settings: DomainSettings = {
    spam: { tag: 5, quarantine: 8, reject: 15 },
    failure: { clamav: row, attachments: row },
    unscannable: unscannableDefaults,
    attachments: { rules, standard },
  }
  const verdict: Verdict = { kind: 'attachments', found, ...(unread ? { unread } : {}) }
  const reports = [report('attachments', verdict), ...others]
  const recipient = { address: 'bob@example.org', domain: 'example.org' }
  return decide(reports, envelopeOf(), recipient, settings, ['attachments'])
}

test('patterns', () => {
  const fits: [string, string][] = [
    ['*.exe', 'a.exe'],
    ['a?c.*', 'abc.d'],
    ['*', ''],
    ['*a*b*', 'xxaxxbxx'],
    ['**.x', '.x'],
  ]
  const not: [string, string][] = [
    ['*.exe', 'a.exe.txt'],
    ['a?c', 'ac'],
    ['', 'a'],
    ['*a*b*c', 'abab'],
  ]
  for (const [pattern, text] of fits) assert.ok(matches(pattern, text), `${pattern} ${text}`)
  for (const [pattern, text] of not) assert.ok(!matches(pattern, text), `${pattern} ${text}`)
  const startedAt = process.cpuUsage()
  assert.ok(!matches(`${'*a'.repeat(100)}b`, 'a'.repeat(255)))
  assert.ok(process.cpuUsage(startedAt).user < 1e6)
})

test('the shipped list', () => {
  const ask = createRules(STANDARD)
  for (const name of ['a.exe', 'A.EXE', 'b.js', 'c.iso', 'd.lnk', 'e.ps1', 'f.hta', 'g.msi'])
    assert.equal(ask(file(name)), 'reject', name)
  for (const name of [
    'a.pdf',
    'b.docx',
    'c.zip',
    'd.txt',
    'e.tar.gz',
    'f.html',
    'g.exe.pdf',
    'exe',
    'h.eml',
    'i.ics',
    'j.p7s',
    'k.asc',
    'l.csv',
  ])
    assert.equal(ask(file(name)), undefined, name)
  assert.equal(ask(file('a.pdf', { kinds: ['windows-executable', 'mismatch'] })), 'reject')
  assert.equal(ask(file('a.zip', { kinds: ['encrypted-archive'] })), 'quarantine')
  assert.equal(ask(file('a.xls', { kinds: ['office-macro', 'auto-run-macro'] })), 'quarantine')
  assert.equal(ask(file('a.xlsm', { kinds: ['office-macro'] })), 'relayMarked')
  assert.equal(ask(file('a.pdf', { kinds: ['encrypted-document'] })), 'relayMarked')
})

test('the first rule that fits a file decides, also over the shipped ones', () => {
  const rules: AttachmentRule[] = [
    { names: ['setup-*.exe'], types: ['application/x-msdownload'], action: 'relay' },
    { names: ['*.pdf'], action: 'quarantine' },
  ]
  const types = ['application/x-msdownload']
  assert.equal(judge([file('setup-1.exe', { types })], rules).disposition, 'relay')
  assert.equal(judge([file('setup-1.exe', { types: ['a/b'] })], rules).disposition, 'reject')
  assert.equal(judge([file('a.pdf')], rules).disposition, 'quarantine')
  assert.equal(judge([file('a.exe')], [], { standard: false }).disposition, 'relay')
})

test('a harmless name, type or kind beside it gets nothing past the rules', () => {
  const pass: AttachmentRule[] = [
    { names: ['*.txt'], action: 'relay' },
    { types: ['text/*'], action: 'relay' },
    { kinds: ['office-macro'], action: 'relay' },
  ]
  assert.equal(judge([file('', { names: ['a.txt', 'a.exe'] })], pass).disposition, 'reject')
  assert.equal(judge([file('a.exe', { types: ['text/plain', 'a/b'] })], pass).disposition, 'reject')
  const kinds = ['office-macro', 'windows-executable'] as const
  assert.equal(judge([file('a.doc', { kinds: [...kinds] })], pass).disposition, 'reject')
  assert.equal(judge([file('', { names: [], kinds: ['elf'] })], pass).disposition, 'reject')
})

test('the strictest over all files counts', () => {
  const rules: AttachmentRule[] = (['strip', 'reject', 'relayMarked', 'quarantine'] as const).map(
    action => ({ names: [action], action }),
  )
  const span = { from: 10, to: 20 }
  const of = (...names: string[]) =>
    judge(
      names.map(name => file(name, { span })),
      rules,
    ).disposition
  assert.equal(of('strip', 'reject', 'quarantine'), 'reject')
  assert.equal(of('strip', 'quarantine', 'relayMarked'), 'quarantine')
  const { cuts, disposition, fields } = judge([file('strip', { span }), file('relayMarked')], rules)
  assert.equal(disposition, 'relay')
  assert.deepEqual(cuts, [{ ...span, name: 'strip', why: 'name or type' }])
  assert.ok(fields?.some(f => f.startsWith('X-Sallyport-Removed: strip (name or type); ')))
  assert.ok(fields?.some(f => f.startsWith('X-Sallyport-Attachments: relayMarked ')))
})

test('what cannot be cut out is kept; parts in parts go together', () => {
  const rules: AttachmentRule[] = [{ names: ['*'], action: 'strip' }]
  const at = (from: number, to: number) => file(`${from}`, { span: { from, to } })
  assert.equal(judge([at(1, 5), file('a')], rules).disposition, 'quarantine')
  const { cuts } = judge([at(50, 60), at(1, 40), at(5, 9)], rules)
  assert.deepEqual(
    cuts?.map(({ from, to }) => [from, to]),
    [
      [1, 40],
      [50, 60],
    ],
  )
  const many = Array.from({ length: 51 }, (_, i) => at(i * 10, i * 10 + 5))
  assert.equal(judge(many, rules).disposition, 'quarantine')
})

test('a refusal waits for no engine; quarantine and strip yield to infected, unscanned and spam', () => {
  const down = report('clamav', { kind: 'failed', failure: 'down', cause: 'x' })
  const infected = report('clamav', { kind: 'infected', name: 'Eicar' })
  const spam = report('rspamd', { kind: 'scored', score: 20, symbols: [] })
  const zip = file('a.zip', { kinds: ['encrypted-archive'] })
  assert.equal(judge([file('a.exe')], [], { others: [down] }).policy, 'attachment')
  assert.equal(judge([zip], [], { others: [down] }).disposition, 'defer')
  assert.equal(judge([zip], [], { others: [spam] }).policy, 'spam')
  assert.equal(judge([zip], [], { others: [infected] }).policy, 'infected')
  const strip: AttachmentRule[] = [{ names: ['*.zip'], action: 'strip' }]
  const cut = file('a.zip', { span: { from: 1, to: 2 } })
  assert.equal(judge([cut], strip, { others: [down] }).cuts, undefined)
})

test('what was not looked at is not relayed', () => {
  const decision = judge([file('a.pdf')], [], { unread: ['too-many'] })
  assert.equal(decision.disposition, 'quarantine')
  assert.match(decision.reason, /attachments: too-many/)
})

test('names go into replies, reasons and fields only where they are plain, and short', () => {
  const evil = `${'x'.repeat(500)}\r\n250 ok\u202e\0"<a>ö.exe`
  const { reply, reason } = judge([file(evil)])
  assert.match(reply?.text ?? '', /^[\x20-\x7e]{1,200}$/)
  assert.doesNotMatch(reply?.text ?? '', /["<>]/)
  assert.match(reason, /^[\x20-\x7e]{1,300}$/)
  const rules: AttachmentRule[] = [{ names: ['*'], action: 'strip' }]
  const files = Array.from({ length: 40 }, (_, i) => file(evil, { span: { from: i, to: i + 1 } }))
  for (const each of judge(files, rules).fields ?? []) assert.match(each, /^[\x20-\x7e]{1,998}$/)
})

test('a thousand recipients of twenty thousand files are judged once', () => {
  const found = Array.from({ length: 20_000 }, (_, i) => file(`${i}.txt`, { packed: true }))
  const verdict: Verdict = { kind: 'attachments', found }
  const settings = {
    spam: { tag: 5, quarantine: 8, reject: 15 },
    failure: { attachments: row },
    unscannable: unscannableDefaults,
    attachments: { rules: [], standard: true },
  }
  const startedAt = process.cpuUsage()
  for (let i = 0; i < 1000; i++) {
    const recipient = { address: `${i}@example.org`, domain: 'example.org' }
    decide([report('attachments', verdict)], envelopeOf(), recipient, { ...settings }, [])
  }
  assert.ok(process.cpuUsage(startedAt).user < 2e6)
})
