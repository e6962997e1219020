// RAR before a real clamd without unrar, as Debian's is, and before one that seems to open RAR.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { unscannableDefaults } from '../../../../policies/disposition/unscannable.ts'
import { clamavSettings, createClamav } from '../../../../scanners/clamav/clamav.ts'
import { rarProbe } from '../../../../scanners/rar-probe.ts'
import type { Verdict } from '../../../../scanners/scanner.ts'
import { EICAR } from '../../../support/eicar.ts'
import { type Clamd, startClamd } from '../../../support/servers/clamd.ts'
import { type Messages, messages } from '../fixtures.ts'
import { attached, mixed } from '../mime/building.ts'
import { rar4, rar5, stub } from '../mime/rar-packing.ts'
import { HARMLESS } from '../mime/variants.ts'

const hex = (data: Buffer | string): string => Buffer.from(data as string).toString('hex')
/** At the beginning of a file only, as the official signature has it: archives must be opened to find it. */
const AT_START = `Eicar-Test-Signature:0:0:${hex(EICAR)}\n`
const patient = new AbortController().signal
let debian: Clamd
let unrar: Clamd
let spool: Messages
before(async () => {
  const sees = `${AT_START}Seen.In.Rar:0:*:${hex(rarProbe().subarray(20))}\n`
  ;[debian, unrar, spool] = await Promise.all([
    startClamd({ signatures: AT_START }),
    startClamd({ signatures: sees }),
    messages(),
  ])
})
after(async () => {
  for (const each of [debian, unrar, spool]) await each[Symbol.asyncDispose]()
})

async function verdictOf(addresses: string[], content: Buffer): Promise<Verdict> {
  await using scanner = await createClamav(clamavSettings.parse({ addresses, deadlineMs: 10_000 }))
  return (await scanner.scan(await spool.write(content), patient)).verdict
}
const unsupported: Verdict = { kind: 'unscannable', reasons: ['unsupported-archive'] }
const packed = attached(rar5(Buffer.alloc(300, 7), { method: 3 }))

test('what is stored is found and told from its twin by any clamd', async () => {
  for (const rar of [rar4, rar5])
    for (const before of [Buffer.alloc(0), stub(5_000)]) {
      const shape = (text: string) => attached(Buffer.concat([before, rar(Buffer.from(text))]))
      assert.equal((await verdictOf([debian.unix], shape(EICAR))).kind, 'infected')
      assert.deepEqual(await verdictOf([debian.unix], shape(HARMLESS)), { kind: 'clean' })
    }
})

test('what is packed is nothing that a clamd without unrar can have inspected', async () => {
  assert.deepEqual(await verdictOf([debian.unix], packed), unsupported)
  assert.equal(unscannableDefaults['unsupported-archive'], 'quarantine')
  const large = attached(rar4(Buffer.alloc(400_000, 7), { method: 3 }))
  assert.deepEqual(await verdictOf([debian.unix], large), unsupported)
})

test('one that opens RAR is believed; beside one that does not, neither is', async () => {
  assert.deepEqual(await verdictOf([unrar.unix], packed), { kind: 'clean' })
  assert.deepEqual(await verdictOf([unrar.unix, debian.unix], packed), unsupported)
  assert.deepEqual(await verdictOf([unrar.unix, 'unix:/nowhere/clamd.ctl'], packed), {
    kind: 'clean',
  })
})

test('a password is noted by us: this clamd says nothing of it', async () => {
  for (const rar of [rar4, rar5])
    assert.deepEqual(
      await verdictOf([debian.unix], attached(rar(Buffer.alloc(90), { locked: 'all' }))),
      {
        kind: 'unscannable',
        reasons: ['encrypted-archive'],
      },
    )
})

test('a virus beside a RAR is a virus', async () => {
  const both = mixed([
    'Content-Type: application/octet-stream',
    'Content-Transfer-Encoding: base64',
    '',
    rar5(Buffer.alloc(300, 7), { method: 3 }).toString('base64'),
    '--bb',
    'Content-Type: application/octet-stream',
    '',
    EICAR,
  ])
  assert.equal((await verdictOf([debian.unix], both)).kind, 'infected')
})

test('the log warns of it, loudly', async () => {
  const settings = clamavSettings.parse({ addresses: [debian.unix] })
  await using scanner = await createClamav(settings)
  const about = await scanner.version?.()
  assert.ok(
    about?.warning?.startsWith(`clamd at ${debian.unix} CANNOT OPEN RAR: install libclamunrar`),
  )
  await using opens = await createClamav({ ...settings, addresses: [unrar.unix] })
  assert.equal((await opens.version?.())?.warning, undefined)
})
