// What comes while the gateway is only starting is heeded: SIGTERM ends it in order, SIGHUP reaches every worker.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { open, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { parse, stringify } from 'yaml'
import { connectSmtp } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { freePort, start, temporaryFolder, until } from '../support/process.ts'
import { startRedis } from '../support/servers/redis.ts'

const COMMAND = path.join(import.meta.dirname, '..', '..', 'gateway', 'sallyport')
const CONFIG = {
  postmaster: 'postmaster@example.org',
  domains: { 'example.org': { nextHop: 'smtp://127.0.0.1:1' } },
}
/** Far below what a worker is given to finish in. */
const SOON_MS = 8000

test('SIGTERM before it has read its configuration: exit 0, and nothing was begun', async () => {
  await using folder = await temporaryFolder('start')
  const file = path.join(folder.path, 'sallyport.yaml')
  spawnSync('mkfifo', [file])
  await using gateway = await start(COMMAND, ['run', '--config', file])
  // Opens once it begins to read.
  const pipe = await open(file, 'w')
  gateway.signal('SIGTERM')
  const listen = [{ address: `127.0.0.1:${await freePort()}` }]
  const state = path.join(folder.path, 'state')
  await pipe.writeFile(stringify({ hostname: 'mx.test', state, listen, ...CONFIG }))
  await pipe.close()
  assert.equal(await gateway.ended, 0, gateway.output())
  assert.equal(gateway.output().includes('"role":"receive"'), false)
})

test('workers that still wait for Redis take a new configuration, and stop at once', async () => {
  await using redis = await startRedis()
  await redis.kill()
  const config = { ...CONFIG, redis: redis.url, maxMessageSize: '5MiB' }
  await using gateway = await startGateway({ config, waitReady: false })
  const waits = () => gateway.log('engineChanged').some(line => line.role === 'receive')
  await until('a worker to wait for Redis', waits)
  const written = parse(await readFile(gateway.configFile, 'utf8'))
  await writeFile(gateway.configFile, stringify({ ...written, maxMessageSize: '7MiB' }))
  gateway.signal('SIGHUP')
  await until('the reload', () => gateway.log('configReloaded').length > 0)
  await redis.restart()
  await gateway.ready()
  using client = await connectSmtp({ port: gateway.port })
  const { text } = await client.command('EHLO client.test')
  assert.match(text, new RegExp(`^SIZE ${7 * 1024 * 1024}$`, 'm'))
  client.socket().destroy()

  await redis.kill()
  const before = gateway.log('engineChanged').length
  const workers = gateway.pids().filter(pid => pid !== gateway.pid())
  for (const pid of workers) process.kill(pid, 'SIGKILL')
  const anew = () =>
    gateway
      .log('engineChanged')
      .slice(before)
      .some(line => line.role === 'receive' && !workers.includes(Number(line.pid)))
  await until('one in their place to wait for Redis', anew)
  const askedAt = performance.now()
  assert.equal(await gateway.stop(), 0)
  assert.ok(performance.now() - askedAt < SOON_MS)
})
