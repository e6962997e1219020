// Who counts as dead: only a process of this host that is known to have ended.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import {
  liveness,
  ownIdentity,
  readIdentity,
  writeIdentity,
} from '../../../gateway/spool/identity.ts'
import { until } from '../../support/process.ts'

const own = ownIdentity()

test('we live; a process of another start, or none, is dead; of another host nothing is known', async () => {
  assert.equal(await liveness(own, own), 'alive')
  assert.equal(await liveness({ ...own, startedAt: '1' }, own), 'dead')
  assert.equal(await liveness({ ...own, pid: 4_194_303 }, own), 'dead')
  assert.equal(await liveness({ ...own, host: 'elsewhere' }, own), 'unknown')
})

test('a process that is stopped lives', async () => {
  const child = spawn('sleep', ['60'])
  await once(child, 'spawn')
  const stat = spawnSync('cat', [`/proc/${child.pid}/stat`], { encoding: 'utf8' }).stdout
  const startedAt = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  const who = { ...own, pid: child.pid ?? 0, startedAt }
  child.kill('SIGSTOP')
  assert.equal(await liveness(who, own), 'alive')
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(await liveness(who, own), 'dead')
})

test('killed, a process lives until the last thread has let go of it', async () => {
  const exit = process.arch === 'arm64' ? 93 : 60
  const script = `use threads; $| = 1; threads->create(sub { print "up\\n"; sleep 60 }); syscall(${exit}, 0)`
  const child = spawn('perl', ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const file = `/proc/${child.pid}/stat`
  const stat = () => readFileSync(file, 'latin1').split(' ')
  await until('its first thread to have ended', () => stat()[2] === 'Z')
  const who = { ...own, pid: child.pid ?? 0, startedAt: stat()[21] ?? '' }
  assert.equal(await liveness(who, own), 'alive')
  child.kill('SIGKILL')
  await until('it to be dead', async () => (await liveness(who, own)) === 'dead')
})

test('without a file descriptor left to look with, nobody is declared dead', () => {
  const module = path.join(import.meta.dirname, '../../../gateway/spool/identity.ts')
  const script = `
    const { openSync } = await import('node:fs')
    const { liveness, ownIdentity } = await import(${JSON.stringify(module)})
    const own = ownIdentity()
    try { for (;;) openSync('/dev/null') } catch {}
    const state = await liveness(own, own)
    process.stdout._handle?.setBlocking?.(true)
    process.stdout.write(state)`
  const run = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e']
  const { stdout, stderr } = spawnSync('sh', [...run, script], { encoding: 'utf8' })
  assert.equal(stdout, 'unknown', stderr)
})

test('an identity is read as it was written, and nothing else is one', () => {
  assert.deepEqual(readIdentity(writeIdentity(own)), own)
  for (const text of ['', 'x', 'x:y:z', 'x:1', ':1:2']) assert.equal(readIdentity(text), undefined)
})
