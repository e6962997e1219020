// clamscan for real, and scripts that lie, hang, fork and flood: only a code that means clean is clean.
import assert from 'node:assert/strict'
import { chmod, mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { type CommandSettings, createCommand } from '../../../../scanners/command/command.ts'
import type { FailureKind, Scanner, Verdict } from '../../../../scanners/scanner.ts'
import { EICAR, eicarMessage, eicarZipMessage, plainMessage } from '../../../support/eicar.ts'
import { until } from '../../../support/process.ts'
import { livingIn } from '../../../support/process-tree.ts'
import { type Messages, messages } from '../fixtures.ts'
import { attached } from '../mime/building.ts'
import { rar5 } from '../mime/rar-packing.ts'

let spool: Messages
let scratch: string
let signatures: string
before(async () => {
  spool = await messages()
  scratch = path.join(spool.path, 'scratch')
  signatures = path.join(spool.path, 'signatures')
  await mkdir(scratch)
  await mkdir(signatures)
  const signature = `Eicar-Test-Signature:0:*:${Buffer.from(EICAR).toString('hex')}\n`
  await writeFile(path.join(signatures, 'eicar.ndb'), signature)
})
after(() => spool[Symbol.asyncDispose]())

const patient = new AbortController().signal
const settingsOf = (settings: Partial<CommandSettings>): CommandSettings => ({
  program: '/bin/true',
  arguments: ['{folder}'],
  exitCodes: { 0: 'clean', 1: 'infected', 3: 'limit', 4: 'encrypted', 5: 'down' },
  environment: {},
  scratch,
  concurrency: 2,
  deadlineMs: 20_000,
  ...settings,
})
const scannerOf = (settings: Partial<CommandSettings>) =>
  createCommand('command-test', settingsOf(settings))
async function verdictOf(scanner: Scanner, content: Buffer): Promise<Verdict> {
  return (await scanner.scan(await spool.write(content), patient)).verdict
}

let scripts = 0
async function script(lines: string, settings: Partial<CommandSettings> = {}): Promise<Scanner> {
  const program = path.join(spool.path, `scanner-${++scripts}`)
  await writeFile(program, `#!/bin/sh\n${lines}\n`)
  await chmod(program, 0o755)
  return scannerOf({ program, ...settings })
}
const clamscan = (target: string) =>
  scannerOf({
    program: '/usr/bin/clamscan',
    arguments: ['--no-summary', '--recursive', `--database=${signatures}`, target],
    exitCodes: { 0: 'clean', 1: 'infected' },
    infectedName: ': (.+) FOUND$',
    versionArguments: ['--version'],
  })

const packedRar = attached(rar5(Buffer.alloc(300, 7), { method: 3 }))
const unopened = { kind: 'unscannable', reasons: ['unsupported-archive'] }

for (const target of ['{folder}', '{file}'])
  test(`clamscan over a ${target}: clean, EICAR, in a zip, in a leaf it does not see`, async () => {
    await using scanner = await clamscan(target)
    const infected = { kind: 'infected', name: 'Eicar-Test-Signature.UNOFFICIAL' }
    assert.deepEqual(await verdictOf(scanner, plainMessage()), { kind: 'clean' })
    assert.deepEqual(await verdictOf(scanner, eicarMessage()), infected)
    assert.deepEqual(await verdictOf(scanner, eicarZipMessage()), infected)
    const hidden = eicarMessage().toString('latin1').replace('base64', '"base64" (x)')
    assert.deepEqual(await verdictOf(scanner, Buffer.from(hidden, 'latin1')), infected)
    assert.deepEqual(await verdictOf(scanner, packedRar), unopened, 'without unrar')
    assert.match((await scanner.version?.())?.version ?? '', /^ClamAV /)
    assert.deepEqual(await readdir(scratch), [])
  })

test('clamscan without its signatures: exit code 2, garbled', async () => {
  await using scanner = await scannerOf({
    program: '/usr/bin/clamscan',
    arguments: ['--database=/nonexistent', '{folder}'],
  })
  const verdict = await verdictOf(scanner, plainMessage())
  assert.equal(verdict.kind === 'failed' && verdict.failure, 'garbled', JSON.stringify(verdict))
})

test('a program is asked once whether it opens RAR, and not again for each message', async () => {
  const runs = path.join(spool.path, 'runs')
  const lines = `ls "$1" | grep -q message || { echo >> ${runs}; exit 1; }`
  await using scanner = await script(lines)
  for (const _ of [1, 2]) assert.deepEqual(await verdictOf(scanner, packedRar), { kind: 'clean' })
  assert.equal((await readFile(runs)).length, 1)
  await using silent = await script('ls "$1" | grep -q message || exit 77')
  assert.equal((await verdictOf(silent, packedRar)).kind, 'failed')
})

const CASES: [string, string, FailureKind][] = [
  ['a code not in the map', 'exit 77', 'garbled'],
  ['a code for a limit', 'exit 3', 'limit'],
  ['a code for down', 'exit 5', 'down'],
  ['"clean" in words only', 'echo clean; echo OK; exit 9', 'garbled'],
  ['ended by a signal', 'kill -SEGV $$', 'down'],
  ['ended by SIGTERM', 'kill -TERM $$', 'down'],
  ['hangs', 'sleep 600', 'slow'],
  ['hangs and ignores signals', 'trap "" TERM INT HUP; while :; do sleep 600; done', 'slow'],
  [
    'floods and never ends',
    'while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done',
    'slow',
  ],
]
for (const [what, lines, failure] of CASES)
  test(`${what}: ${failure}`, async () => {
    await using scanner = await script(lines, { deadlineMs: 700 })
    const verdict = await verdictOf(scanner, plainMessage())
    assert.equal(verdict.kind === 'failed' && verdict.failure, failure, JSON.stringify(verdict))
    await until('nothing of it to be left', () => livingIn(scratch).length === 0)
    assert.deepEqual(await readdir(scratch), [])
  })

test('encrypted is the fault of the message', async () => {
  await using scanner = await script('exit 4')
  const verdict = { kind: 'unscannable', reasons: ['encrypted-archive'] }
  assert.deepEqual(await verdictOf(scanner, plainMessage()), verdict)
})

test('missing, not executable, not a program: down, and back when it is there', async () => {
  const program = path.join(spool.path, 'later')
  await using scanner = await scannerOf({ program })
  const missing = await verdictOf(scanner, plainMessage())
  assert.equal(missing.kind === 'failed' && missing.failure, 'down')
  assert.deepEqual(scanner.engines(), [{ address: program, up: false }])
  await writeFile(program, '#!/bin/sh\nexit 0\n')
  const forbidden = await verdictOf(scanner, plainMessage())
  assert.equal(forbidden.kind === 'failed' && forbidden.failure, 'down')
  await chmod(program, 0o755)
  assert.deepEqual(await verdictOf(scanner, plainMessage()), { kind: 'clean' })
  assert.deepEqual(scanner.engines(), [{ address: program, up: true }])
})

test('what it starts in the background ends with it, and does not hold up the verdict', async () => {
  await using scanner = await script('sleep 600 & sleep 600 & exit 0')
  assert.deepEqual(await verdictOf(scanner, plainMessage()), { kind: 'clean' })
  await until('nothing of it to be left', () => livingIn(scratch).length === 0)
})

test('no environment, no input and no descriptors of ours; only files with names of ours', async () => {
  process.env.SALLYPORT_SECRET = 'very secret'
  await using _file = await open(path.join(spool.path, 'ours'), 'w')
  await using scanner = await script(
    'set -- "$1" "$(env | grep -v "^\\(PATH\\|LANG\\|HOME\\|PWD\\|OLDPWD\\|LICENCE\\|_\\)=")" "$(readlink /proc/$$/fd/*)" "$(ls $1)" "$(cat)"\n' +
      'echo found: [$2] [$3] [$4] [$5] [$LICENCE]; exit 1',
    { infectedName: 'found: (.*)', environment: { LICENCE: 'a b' } },
  )
  const evil = eicarMessage().toString('latin1').replaceAll('eicar.com', '$(touch x);../../x')
  const verdict = await verdictOf(scanner, Buffer.from(evil, 'latin1'))
  delete process.env.SALLYPORT_SECRET
  assert.ok(verdict.kind === 'infected')
  const [, environment, descriptors, files, input, own] =
    /^\[(.*?)\] \[(.*?)\] \[(.*?)\] \[(.*?)\] \[(.*?)\]$/.exec(verdict.name) ?? []
  assert.equal(environment, '')
  assert.ok(!descriptors?.includes('ours'), descriptors)
  assert.match(files ?? '', /^message\.eml( part-\d+)+$/)
  assert.deepEqual([input, own], ['', 'a b'])
})

test('a folder or an argument with spaces and shell words stays one argument', async () => {
  await using scanner = await script('echo "n=$#:$1"; exit 1', {
    arguments: ['a b; $(reboot) `x`', '{folder}'],
    infectedName: '^n=(.*)',
  })
  const verdict = await verdictOf(scanner, plainMessage())
  assert.deepEqual(verdict, { kind: 'infected', name: '2:a b; $(reboot) `x`' })
})

test('a name it does not tell, or tells in other octets, is still a virus', async () => {
  for (const [words, name] of [
    ['', 'unnamed'],
    ['name: \\033[31mBad\\t\\001', '[31mBad'],
    ['no match here', 'unnamed'],
  ] as const) {
    await using scanner = await script(`printf '${words}\\n'; exit 1`, {
      infectedName: 'name: (.*)',
    })
    assert.deepEqual(await verdictOf(scanner, plainMessage()), { kind: 'infected', name })
  }
})

test('no more at once than its concurrency', async () => {
  const running = path.join(spool.path, 'running')
  await mkdir(running)
  await using scanner = await script(
    `touch ${running}/$$; n=$(ls ${running} | wc -l); sleep 0.05; rm ${running}/$$; [ $n -le 2 ]`,
  )
  const message = await spool.write(plainMessage())
  const found = await Promise.all(Array.from({ length: 10 }, () => scanner.scan(message, patient)))
  assert.ok(found.every(({ verdict }) => verdict.kind === 'clean'))
})

test('empty, shorter or missing content is never clean', async () => {
  await using scanner = await script('exit 0')
  assert.equal((await verdictOf(scanner, Buffer.alloc(0))).kind, 'failed')
  const message = await spool.write(plainMessage())
  const longer = { ...message, content: { ...message.content, sizeBytes: 100_000 } }
  const missing = { ...message, content: { ...message.content, path: '/nonexistent/x.eml' } }
  for (const each of [longer, missing])
    assert.equal((await scanner.scan(each, patient)).verdict.kind, 'failed')
  assert.deepEqual(await readdir(scratch), [])
})

test('what a killed process left in the scratch folder goes with the next start', async () => {
  const left = path.join(scratch, 'sallyport-scan-4194304-abcdef')
  const own = path.join(scratch, `sallyport-scan-${process.pid}-abcdef`)
  await mkdir(left)
  await mkdir(own)
  await using _scanner = await scannerOf({})
  assert.deepEqual(await readdir(scratch), [path.basename(own)])
})
