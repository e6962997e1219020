// The order of system calls that custody rests on: whatever a power cut leaves, 250 was said only for what is there.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { newId } from '../../../gateway/spool/id.ts'
import { temporaryFolder } from '../../support/process.ts'

test('content, log and envelope, incoming/, rename, queued/; and the envelope goes first', async () => {
  await using folder = await temporaryFolder()
  const id = newId()
  const trace = path.join(folder.path, 'trace')
  const spool = path.join(folder.path, 'spool')
  const taker = path.join(import.meta.dirname, '../../support/custody-taker.ts')
  const calls = 'trace=fsync,fdatasync,rename,renameat2,unlink'
  const args = ['-f', '-y', '-e', calls, '-o', trace, process.execPath, taker, spool, id]
  const { status, stderr } = spawnSync('strace', args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const lines = (await readFile(trace, 'utf8'))
    .split('\n')
    .filter(line => line.includes(spool) && !line.includes(`${spool}/holders`))
  const done = lines.flatMap(line => {
    const [, call = '', what = ''] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? []
    const short = what.replaceAll(`${spool}/`, '').replaceAll(id, 'ID')
    const [first = ''] = /(?:<[^>]*>|"[^"]*")/.exec(short) ?? []
    return [`${call.replace('renameat2', 'rename')} ${first.slice(1, -1)}`]
  })
  // These are independent of each other.
  assert.deepEqual(
    done.slice(0, 3).sort(),
    ['eml', 'envelope', 'log'].map(name => `fsync incoming/ID.${name}`),
  )
  assert.deepEqual(done.slice(3), [
    'fsync incoming',
    'rename incoming/ID.envelope',
    'fsync queued',
    // What a worker wrote down meanwhile.
    'fsync incoming/ID.log',
    // An outcome in custody: what was said in a file that logs share goes to one of its own first.
    'fsync incoming/ID.log.aside',
    'rename incoming/ID.log.aside',
    'fsync incoming/ID.log',
    'fsync incoming',
    // Another.
    'fsync incoming/ID.log',
    'unlink queued/ID.json',
    'fsync queued',
    'unlink incoming/ID.eml',
    'unlink incoming/ID.log',
  ])
})

type Call = { name: string; begun: number; ended: number }

/** The calls in a trace of several threads, with the lines where they began and ended. */
function callsIn(trace: string): Call[] {
  const calls: Call[] = []
  const open = new Map<string, Call>()
  for (const [line, text] of trace.split('\n').entries()) {
    const resumed = /^(\d+) +<\.\.\. (\w+) resumed/.exec(text)
    const [, thread = '', call = '', what = ''] = /^(\d+) +(\w+)\((.*)$/.exec(text) ?? []
    if (resumed) {
      const waiting = open.get(resumed[1] ?? '')
      if (waiting) waiting.ended = line
    } else if (call !== '') {
      const [path = ''] = /(?:<[^>]*>|"[^"]*")/.exec(what) ?? []
      const one = { name: `${call} ${path.slice(1, -1)}`, begun: line, ended: line }
      if (text.includes('<unfinished')) {
        one.ended = Number.POSITIVE_INFINITY
        open.set(thread, one)
      }
      calls.push(one)
    }
  }
  return calls
}

test('with many at once the order is kept for each, and they share what they can', async () => {
  await using folder = await temporaryFolder()
  const ids = Array.from({ length: 24 }, () => newId())
  const trace = path.join(folder.path, 'trace')
  const spool = path.join(folder.path, 'spool')
  const crowd = path.join(import.meta.dirname, '../../support/custody-crowd.ts')
  const args = ['-f', '-y', '-e', 'trace=fsync,rename,renameat2,unlink', '-o', trace]
  const run = spawnSync('strace', [...args, process.execPath, crowd, spool, ...ids], {
    encoding: 'utf8',
  })
  assert.equal(run.status, 0, run.stderr)
  const calls = callsIn(await readFile(trace, 'utf8'))
  const named = (name: string) => calls.filter(call => call.name === name)
  /** The first of that name to begin after `line` and to have ended by `until`. */
  const between = (name: string, line: number, until: number) =>
    named(name).find(call => call.begun > line && call.ended < until)
  for (const id of ids) {
    const at = (call: string, name: string) => {
      const found = named(`${call} ${spool}/${name}`)[0]
      assert.ok(found, `${call} ${name}`)
      return found
    }
    const content = at('fsync', `incoming/${id}.eml`)
    const envelope = at('fsync', `incoming/${id}.envelope`)
    const rename = at('rename', `incoming/${id}.envelope`)
    const said = at('unlink', `incoming/${id}.unsaid`)
    const later = Math.max(content.ended, envelope.ended)
    assert.ok(between(`fsync ${spool}/incoming`, later, rename.begun), 'incoming/')
    assert.ok(between(`fsync ${spool}/queued`, rename.ended, said.begun), 'queued/')
  }
  assert.ok(named(`fsync ${spool}/queued`).length < ids.length)
  assert.ok(named(`fsync ${spool}/incoming`).length < ids.length)
})
