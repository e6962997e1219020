// clamd's heuristic names, with a real clamd: they score where it looks on after them, and never hide a virus.
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { decide } from '../../../../policies/decide.ts'
import { unscannableDefaults } from '../../../../policies/disposition/unscannable.ts'
import { clamavSettings, createClamav } from '../../../../scanners/clamav/clamav.ts'
import { createClamd } from '../../../../scanners/clamav/clamd.ts'
import { createHeuristics, isHeuristicPattern } from '../../../../scanners/clamav/heuristics.ts'
import type { Report, Verdict } from '../../../../scanners/scanner.ts'
import { attachment, EICAR, plainMessage, zip } from '../../../support/eicar.ts'
import { type Folder, temporaryFolder } from '../../../support/process.ts'
import { type Clamd, startClamd } from '../../../support/servers/clamd.ts'
import { afterStream, startLyingEngine } from '../../../support/servers/lying-engine.ts'
import { zipOf } from '../attachments/files.ts'
import { envelopeOf, type Messages, messages } from '../fixtures.ts'
import {
  BROKEN_MEDIA,
  brokenElf,
  brokenPe,
  oddPdf,
  vbaDocument,
  xlmWorkbook,
} from '../odd-files.ts'

/** An address that shows another one: Heuristics.Phishing.Email.SSL-Spoof. */
const PHISHING = '<html><a href="http://evil.example.com/x">https://www.paypal.com/login</a></html>'
/** Heuristics.Structured.CreditCardNumber. */
const CARDS = '4111 1111 1111 1111, 5500 0000 0000 0004, 4012 8888 8888 1881, 4222 2222 2222 2'
const SIGNED = 'something odd, by a signature'
const folders: Folder[] = []
let looksOn: Clamd
let stops: Clamd
let spool: Messages

async function clamdWith(precedence: 'no' | 'yes'): Promise<Clamd> {
  const folder = await temporaryFolder('heuristics')
  folders.push(folder)
  const signatures = path.join(folder.path, 'signatures')
  await mkdir(signatures)
  const of = (name: string) => `${name}:0:*:${Buffer.from(SIGNED).toString('hex')}\n`
  await writeFile(path.join(signatures, 'odd.ndb'), of('Heuristics.Phishing.Own'))
  const config = {
    HeuristicScanPrecedence: precedence,
    AlertPhishingSSLMismatch: 'yes',
    StructuredDataDetection: 'yes',
    StructuredMinCreditCardCount: 1,
    AlertOLE2Macros: 'yes',
    AlertBrokenExecutables: 'yes',
    AlertBrokenMedia: 'yes',
  }
  return startClamd({ folder: folder.path, config })
}
before(async () => {
  ;[looksOn, stops, spool] = await Promise.all([clamdWith('no'), clamdWith('yes'), messages()])
})
after(async () => {
  for (const each of [looksOn, stops, spool, ...folders]) await each[Symbol.asyncDispose]()
})

const patient = new AbortController().signal
const SCORES = {
  'Heuristics.Phishing.*': 1,
  'Heuristics.Phishing.Email.*': 4,
  'Heuristics.Structured*': 2,
}
async function verdictOf(
  address: string,
  content: Buffer,
  heuristics: Record<string, number> = SCORES,
): Promise<Verdict> {
  const settings = clamavSettings.parse({ addresses: [address], heuristics, deadlineMs: 10_000 })
  await using scanner = await createClamav(settings)
  return (await scanner.scan(await spool.write(content), patient)).verdict
}
const scored = (score: number, ...symbols: string[]): Verdict => ({
  ...{ kind: 'scored', score, symbols, adds: true },
})
const SPOOF = 'Heuristics.Phishing.Email.SSL-Spoof'
const CARD = 'Heuristics.Structured.CreditCardNumber'
const html = (body: string) =>
  Buffer.from(plainMessage({ body }).toString().replace('text/plain', 'text/html'))

test('by the longest pattern; without one it is a virus', async () => {
  assert.deepEqual(await verdictOf(looksOn.unix, html(PHISHING)), scored(4, SPOOF))
  assert.deepEqual(await verdictOf(looksOn.unix, plainMessage({ body: CARDS })), scored(2, CARD))
  assert.equal(
    (await verdictOf(looksOn.unix, html(PHISHING), { 'Heuristics.PDF*': 2 })).kind,
    'infected',
  )
  assert.equal((await verdictOf(looksOn.unix, html(PHISHING), {})).kind, 'infected')
  assert.deepEqual(await verdictOf(looksOn.unix, plainMessage()), { kind: 'clean' })
})

test('where the first name ends the scan it would hide the next: a virus', async () => {
  assert.equal((await verdictOf(stops.unix, html(PHISHING))).kind, 'infected')
})

test('the name of a signature never scores: it would hide what comes after it in a file', async () => {
  const content = plainMessage({ body: SIGNED })
  const verdict = await verdictOf(looksOn.unix, content)
  assert.deepEqual(verdict, { kind: 'infected', name: 'Heuristics.Phishing.Own.UNOFFICIAL' })
})

for (const odd of [PHISHING, CARDS])
  test(`no virus is hidden by ${odd.slice(0, 6)}…: in one text, in an attachment`, async () => {
    const name = 'Eicar-Test-Signature.UNOFFICIAL'
    const attached = attachment({}, 'x.zip', zip('a', Buffer.from(EICAR), 'stored'))
    const parts = [
      html(`${odd} ${EICAR}`),
      html(`${EICAR} ${odd}`),
      Buffer.from(attached.toString().replace('text/plain', 'text/html').replace('See the', odd)),
    ]
    for (const [n, content] of parts.entries())
      assert.deepEqual([n, await verdictOf(looksOn.unix, content)], [n, { kind: 'infected', name }])
  })

const MACRO = 'Sub AutoOpen()\r\nEnd Sub\r\n'
/** What clamd finds odd of a file's form, made around something else. */
const FORMS: Record<string, (rest: Buffer) => Buffer> = {
  'OLE2.ContainsMacros.VBA': rest => vbaDocument(MACRO, rest),
  'OLE2.ContainsMacros.XLM': xlmWorkbook,
  'PDF.ObfuscatedNameObject': oddPdf,
  'Broken.Executable': brokenPe,
  'Broken.Executable (ELF)': brokenElf,
  'Broken.Media.GIF.UnknownBlockLabel': BROKEN_MEDIA.gif,
  'Broken.Media.PNG.InvalidChunkLength': BROKEN_MEDIA.png,
  'Broken.Media.JPEG.SegmentDataOutOfFile': BROKEN_MEDIA.jpeg,
  'Broken.Media.TIFF.OutOfBoundsAccess': BROKEN_MEDIA.tiff,
}
const OF_FORM = {
  'Heuristics.OLE2.ContainsMacros*': 1,
  'Heuristics.PDF.*': 2,
  'Heuristics.Broken.*': 3,
}

/** clamd's own word on a file: our reader would find most of this without it. */
async function ofFile(address: string, file: Buffer): Promise<Verdict> {
  const clamd = await createClamd(address)
  const { verdict } = await clamd.scan((await spool.write(file)).content, patient)
  return createHeuristics(OF_FORM).judge(verdict, address, patient)
}

for (const [form, around] of Object.entries(FORMS))
  test(`${form}: scores, and hides no virus in the file, nor one beside it`, async () => {
    const odd = around(Buffer.from('nothing'))
    const alone = await ofFile(looksOn.unix, odd)
    assert.ok(alone.kind === 'scored', JSON.stringify(alone))
    assert.deepEqual(alone.symbols, [`Heuristics.${form.replace(' (ELF)', '')}`])
    assert.equal((await ofFile(stops.unix, odd)).kind, 'infected', 'that one does not look on')
    const eicar = Buffer.from(EICAR)
    const files = [
      around(eicar),
      around(zip('a', eicar)),
      zipOf({ a: odd, b: eicar }),
      zipOf({ a: eicar, b: odd }),
      Buffer.concat([odd, zip('a', eicar)]),
      attachment({}, 'a.zip', zipOf({ a: odd, b: zip('a', eicar) })),
    ]
    const name = 'Eicar-Test-Signature.UNOFFICIAL'
    for (const [n, file] of files.entries())
      assert.deepEqual([n, await ofFile(looksOn.unix, file)], [n, { kind: 'infected', name }])
  })

test('nor one in the macro itself', async () => {
  const name = 'Eicar-Test-Signature.UNOFFICIAL'
  const file = vbaDocument(`${MACRO}x = "${EICAR}"\r\n`)
  assert.deepEqual(await ofFile(looksOn.unix, file), { kind: 'infected', name })
})

test('nor what is encrypted, beside it', async () => {
  const locked = attachment({}, 'x.zip', zip('a', Buffer.from('b'), 'stored', 'secret'))
  const odd = Buffer.from(locked.toString().replace('See the', CARDS))
  assert.deepEqual(await verdictOf(looksOn.unix, odd), {
    ...{ kind: 'unscannable', reasons: ['encrypted-archive'] },
  })
})

test('only what clamd itself finds odd can have a score', () => {
  for (const pattern of ['Heuristics.Phishing.*', SPOOF, 'Heuristics.OLE2.ContainsMacros*'])
    assert.ok(isHeuristicPattern(pattern), pattern)
  const others = [
    '*',
    'PUA.*',
    'Win.*',
    'Heuristics.*',
    'Heuristics.Encrypted.*',
    'Heuristics.Limits.*',
  ]
  for (const pattern of others) assert.ok(!isHeuristicPattern(pattern), pattern)
})

test('a clamd that does not say whether it looks on: no score', async () => {
  await using liar = await startLyingEngine(afterStream('stream: Heuristics.Phishing.X FOUND\0'))
  assert.equal((await verdictOf(liar.address, plainMessage())).kind, 'infected')
})

test('it adds to the score of the others', () => {
  const report = (scanner: string, verdict: Verdict): Report => ({
    scanner,
    verdict,
    durationMs: 1,
  })
  const row = {
    down: 'tempfail',
    slow: 'tempfail',
    limit: 'tempfail',
    garbled: 'tempfail',
  } as const
  const settings = {
    spam: { tag: 5, quarantine: 8, reject: 15 },
    failure: { clamav: row, rspamd: row },
    unscannable: unscannableDefaults,
  }
  const judge = (...reports: Report[]) =>
    decide(
      reports,
      envelopeOf(),
      { address: 'bob@example.org', domain: 'example.org' },
      settings,
      [],
    )
  const odd = report('clamav', scored(4, SPOOF))
  const spam = (score: number) => report('rspamd', { kind: 'scored', score, symbols: ['A'] })
  assert.equal(judge(odd).disposition, 'relay')
  assert.equal(judge(odd, spam(3.9)).disposition, 'relay')
  assert.ok(judge(odd, spam(3)).fields?.includes('X-Sallyport-Spam: yes, score=7'))
  assert.equal(judge(odd, spam(4)).disposition, 'quarantine')
  assert.equal(judge(odd, spam(11)).reason, 'rspamd+clamav: score 15')
  assert.equal(judge(odd, spam(11)).disposition, 'reject')
})
