// The demo shows what it promises, with Redis and ClamAV embedded, and leaves nothing behind.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { start, temporaryFolder, until } from '../support/process.ts'
import { livingIn } from '../support/process-tree.ts'

const DEMO = path.join(import.meta.dirname, '..', '..', 'deploy', 'demo', 'demo.sh')

const demo = (folder: string, ...args: string[]) =>
  start('sh', [DEMO, ...args], { env: { ...process.env, TMPDIR: folder } })

test('--once: every row is as expected, exit 0, nothing left', async () => {
  await using folder = await temporaryFolder('demo')
  const running = await demo(folder.path, '--once')
  const code = await running.ended
  assert.equal(code, 0, running.output())
  assert.match(running.output(), /All as expected/)
  assert.match(running.output(), /^ *sallyport_ledger_recipients_total/m)
  assert.deepEqual(readdirSync(folder.path), [])
  assert.deepEqual(livingIn(folder.path), [])
})

test('Ctrl-C after the table, and in the middle of starting: ends, and nothing is left', async () => {
  for (const moment of [/Ctrl-C stops everything/, /Starting Sallyport/]) {
    await using folder = await temporaryFolder('demo')
    await using running = await demo(folder.path)
    await until(`the demo to say ${moment}`, () => moment.test(running.output()), 60_000)
    running.signal('SIGINT')
    assert.equal(await running.ended, 0, running.output())
    assert.deepEqual(readdirSync(folder.path), [])
    assert.deepEqual(livingIn(folder.path), [])
  }
})
