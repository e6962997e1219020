// The journal: whole lines whatever happens, one file an instance and day, old ones removed.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { createJournal } from '../../../gateway/observe/journal.ts'
import {
  type JournalEntry,
  journalLines,
  LINE_BYTES,
  parseJournalLine,
} from '../../../gateway/observe/journal-line.ts'
import { createJournalTail } from '../../../gateway/observe/journal-tail.ts'
import { temporaryFolder, userOf } from '../../support/process.ts'

const source = new URL('../../../gateway/observe/journal.ts', import.meta.url).href
const AT = Date.parse('2026-05-04T23:59:59.500Z')

describe('journal', () => {
  test('a long list becomes several lines, each below the limit, nothing left out', () => {
    const recipients = Array.from({ length: 1000 }, (_, n) => `${'x'.repeat(60)}${n}@example.org`)
    const entry = { at: 'now', event: 'messageReceived', id: 'a', recipients }
    const lines = journalLines(entry)
    assert.ok(lines.length > 10)
    for (const line of lines) assert.ok(Buffer.byteLength(line) <= LINE_BYTES)
    const parts = lines.map(line => JSON.parse(line))
    assert.deepEqual(
      parts.flatMap(part => part.recipients),
      recipients,
    )
    assert.deepEqual(
      parts.map(part => part.part),
      parts.map((_, n) => n + 1),
    )
    assert.ok(parts.every(part => part.id === 'a'))
  })

  test('texts and entries too long for a line are cut, never torn', () => {
    const long = journalLines({ at: 'now', event: 'e', id: 'a', cause: 'ü'.repeat(9000) })
    assert.equal(JSON.parse(long[0] ?? '').cause.length, 513)
    const wild = journalLines({
      at: 'now',
      event: 'e',
      id: 'a',
      list: ['é'.repeat(5000)],
      deep: { text: 'z'.repeat(9000) },
    })
    assert.deepEqual(
      wild.map(line => JSON.parse(line)),
      [{ at: 'now', event: 'e', id: 'a', shortened: true }],
    )
  })

  test('a new day is a new file, and files older than keepDays go', async () => {
    await using folder = await temporaryFolder('journal')
    writeFileSync(path.join(folder.path, '2026-04-20.old.jsonl'), '{}\n')
    writeFileSync(path.join(folder.path, '2026-04-21.old.jsonl'), '{}\n')
    writeFileSync(path.join(folder.path, 'notes.txt'), 'not ours')
    let now = AT
    using journal = createJournal({
      folder: folder.path,
      instance: 'i1',
      now: () => now,
    })
    journal.write('one', { id: 'a' })
    now += 1000
    journal.write('two', { id: 'a' })
    assert.deepEqual(readdirSync(folder.path).sort(), [
      '2026-04-21.old.jsonl',
      '2026-05-04.i1.jsonl',
      '2026-05-05.i1.jsonl',
      'notes.txt',
    ])
    const seen: JournalEntry[] = []
    await createJournalTail(folder.path, 'i1').read(entry => seen.push(entry))
    assert.deepEqual(seen, [
      { at: '2026-05-04T23:59:59.500Z', event: 'one', id: 'a' },
      { at: '2026-05-05T00:00:00.500Z', event: 'two', id: 'a' },
    ])
  })

  test('processes appending at once, one of them killed, never mix or tear lines', async () => {
    await using folder = await temporaryFolder('journal')
    const program = `import { createJournal } from '${source}'
      const journal = createJournal({ folder: process.argv[1], instance: 'i' })
      process.stdout.write('go')
      for (let n = 0; n < 200_000; n++) journal.write('e', { id: process.argv[2], n, fill: 'f'.repeat(n % 500) })`
    const children = ['a', 'b', 'c'].map(name =>
      spawn(process.execPath, ['--input-type=module', '-e', program, folder.path, name], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    )
    await Promise.all(children.map(child => once(child.stdout, 'data')))
    await new Promise(resolve => setTimeout(resolve, 150))
    for (const child of children) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    const [name = ''] = readdirSync(folder.path)
    const lines = readFileSync(path.join(folder.path, name), 'utf8').split('\n').slice(0, -1)
    const next: Record<string, number> = { a: 0, b: 0, c: 0 }
    for (const line of lines) {
      const entry = parseJournalLine(line)
      assert.ok(entry, `garbled: ${line.slice(0, 100)}`)
      const id = entry.id ?? ''
      assert.equal(entry.n, next[id])
      next[id] = Number(entry.n) + 1
    }
    assert.ok(Object.values(next).every(n => n > 0))
  })

  test('a worker that gave up root writes to the file its primary made', async () => {
    await using folder = await temporaryFolder('journal')
    chmodSync(folder.path, 0o755)
    const inside = path.join(folder.path, 'journal')
    const nobody = userOf('nobody')
    using primary = createJournal({ folder: inside, instance: 'i', owner: nobody })
    primary.write('primary', { id: 'a' })
    const program = `import { createJournal } from '${source}'
      ${nobody ? `process.setgid(${nobody.gid}); process.setuid(${nobody.uid})` : ''}
      createJournal({ folder: process.argv[1], instance: 'i' }).write('worker', { id: 'a' })`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, inside], {
      stdio: 'inherit',
    })
    await once(child, 'exit')
    primary.write('primary', { id: 'b' })
    const seen: JournalEntry[] = []
    await createJournalTail(inside, 'i').read(entry => seen.push(entry))
    assert.deepEqual(
      seen.map(({ event, id }) => `${event} ${id}`),
      ['primary a', 'worker a', 'primary b'],
    )
  })

  test('what can not be written is told, and never thrown', async () => {
    await using folder = await temporaryFolder('journal')
    const lost: unknown[] = []
    const inside = path.join(folder.path, 'gone')
    using journal = createJournal({ folder: inside, instance: 'i', onLost: e => lost.push(e) })
    rmSync(inside, { recursive: true })
    journal.write('e', { id: 'a' })
    assert.equal(lost.length, 1)
  })
})

describe('journal tail', () => {
  test('waits for the rest of a torn line, skips a garbled one, and goes on', async () => {
    await using folder = await temporaryFolder('journal')
    const file = path.join(folder.path, '2026-05-04.i.jsonl')
    const tail = createJournalTail(folder.path, 'i')
    const events: string[] = []
    const read = () => tail.read(entry => events.push(entry.event))
    await read()
    appendFileSync(file, '{"at":"t","event":"one"}\n{"at":"t","ev')
    appendFileSync(path.join(folder.path, '2026-05-04.other.jsonl'), '{"at":"t","event":"no"}\n')
    await read()
    assert.deepEqual(events, ['one'])
    appendFileSync(file, 'ent":"two"}\n')
    await read()
    assert.deepEqual(events, ['one', 'two'])
    appendFileSync(file, `{"at":"t","ev\n{"at":"t","event":"three"}\nnull\n${'x'.repeat(400_000)}`)
    await read()
    appendFileSync(file, 'x\n{"at":"t","event":"four"}\n')
    await read()
    assert.deepEqual(events, ['one', 'two', 'three', 'four'])
    assert.equal(tail.garbled(), 3)
  })
})
