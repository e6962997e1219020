// The embedded redis-server: keeps its data over kills, comes back by itself, and leaves nothing behind.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { accountOf } from '../../../gateway/embedded/account.ts'
import { createEmbeddedRedis } from '../../../gateway/embedded/redis.ts'
import { recordEvents } from '../../support/events.ts'
import { listening, temporaryFolder, until, userOf } from '../../support/process.ts'

const lives = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const client = (url: string) => {
  const redis = new Redis({ path: url.slice('unix:'.length), retryStrategy: () => 50 })
  redis.on('error', () => undefined)
  return { redis, [Symbol.dispose]: () => redis.disconnect() }
}

describe('embedded redis', { timeout: 60_000 }, () => {
  test('killed, it comes back at the same socket with its data', async () => {
    await using folder = await temporaryFolder('embedded')
    const events = recordEvents()
    await using server = await createEmbeddedRedis({ folder: folder.path, events })
    using connected = client(server.url)
    const { redis } = connected
    await redis.set('a', '1')
    assert.deepEqual(await redis.config('GET', 'maxmemory-policy'), [
      'maxmemory-policy',
      'noeviction',
    ])
    // appendfsync everysec: what was written reaches the kernel at once, so a kill of the process loses nothing.
    const before = server.pid()
    process.kill(before, 'SIGKILL')
    await until('a new process', () => server.pid() !== before)
    assert.equal(await redis.get('a'), '1')
    await until('it to be told', () => events.of('engineChanged').length === 3)
    assert.deepEqual(
      events.of('engineChanged').map(e => [e.engine, e.address, e.up]),
      [
        ['redis', server.url, true],
        ['redis', server.url, false],
        ['redis', server.url, true],
      ],
    )
    assert.match(String(events.of('fault')[0]?.error), /redis-server ended \(SIGKILL\)/)
  })

  test('hung, it is killed and started again', async () => {
    await using folder = await temporaryFolder('embedded')
    const events = recordEvents()
    const timing = { lookMs: 30, looksMissed: 1 }
    await using server = await createEmbeddedRedis({ folder: folder.path, events, timing })
    const before = server.pid()
    process.kill(before, 'SIGSTOP')
    await until('a new process', () => server.pid() !== before)
    assert.equal(lives(before), false)
    assert.match(String(events.of('fault')[0]?.error), /did not answer/)
  })

  test('a missing program is named with the package to install', async () => {
    await using folder = await temporaryFolder('embedded')
    const options = { folder: folder.path, events: recordEvents(), binary: 'redis-server-none' }
    await assert.rejects(
      createEmbeddedRedis(options),
      /redis-server-none.*apt install redis-server/,
    )
  })

  test('a configuration it refuses rejects with its own words', async () => {
    await using folder = await temporaryFolder('embedded')
    const options = { folder: folder.path, events: recordEvents(), binary: '/bin/false' }
    await assert.rejects(createEmbeddedRedis(options), /redis-server did not start \(exit code 1\)/)
  })

  test('told to stop before it answers, it is ended and rejects', async () => {
    await using folder = await temporaryFolder('embedded')
    const binary = path.join(folder.path, 'never-ready')
    await writeFile(binary, '#!/bin/sh\nexec sleep 60 # "$@"\n', { mode: 0o755 })
    const stop = new AbortController()
    const options = { folder: folder.path, events: recordEvents(), binary, stop: stop.signal }
    const starting = createEmbeddedRedis(options)
    setTimeout(() => stop.abort(), 300)
    await assert.rejects(starting, /redis-server did not start \(told to stop\)/)
  })

  test('data it can not read are set aside with a warning', async () => {
    await using folder = await temporaryFolder('embedded')
    const events = recordEvents()
    {
      await using server = await createEmbeddedRedis({ folder: folder.path, events })
      using connected = client(server.url)
      for (let n = 0; n < 100; n++) await connected.redis.set(`key${n}`, 'value')
    }
    const aof = path.join(folder.path, 'data', 'appendonlydir')
    const name = (await readdir(aof)).find(file => file.endsWith('.incr.aof')) ?? ''
    const content = await readFile(path.join(aof, name))
    content.fill(0x7a, 200, 400)
    await writeFile(path.join(aof, name), content)
    await using server = await createEmbeddedRedis({ folder: folder.path, events })
    using connected = client(server.url)
    assert.equal(await connected.redis.dbsize(), 0)
    assert.deepEqual(
      events.of('warned').map(e => e.name),
      ['redis-data-unreadable'],
    )
    assert.ok((await readdir(folder.path)).includes('data-unreadable'))
  })

  test('stopped with the gateway, also while it is being started again', async () => {
    await using folder = await temporaryFolder('embedded')
    const server = await createEmbeddedRedis({ folder: folder.path, events: recordEvents() })
    const first = server.pid()
    process.kill(first, 'SIGKILL')
    await until('its end', () => !lives(first))
    await server[Symbol.asyncDispose]()
    assert.equal(lives(server.pid()), false)
    assert.equal(await listening(server.url.slice('unix:'.length)), false)
  })

  test('what a killed gateway left is ended, its data taken up; a living gateway’s is left alone', async () => {
    await using folder = await temporaryFolder('embedded')
    const source = new URL('../../../gateway/embedded/redis.ts', import.meta.url).href
    const program = `import { createEmbeddedRedis } from '${source}'
      const events = new Proxy({}, { get: () => () => undefined })
      const server = await createEmbeddedRedis({ folder: process.argv[1], events })
      console.log(server.pid())
      setInterval(() => undefined, 1000)`
    const gateway = spawn(process.execPath, ['--input-type=module', '-e', program, folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(gateway.stdout, 'data')
    const left = Number(String(line))
    const events = recordEvents()
    await assert.rejects(
      createEmbeddedRedis({ folder: folder.path, events }),
      new RegExp(`in use by another gateway \\(process ${gateway.pid}\\)`),
    )
    using connected = client(`unix:${folder.path}/redis.sock`)
    await connected.redis.set('a', '1')
    gateway.kill('SIGKILL')
    await once(gateway, 'exit')
    assert.equal(lives(left), true)
    await using server = await createEmbeddedRedis({ folder: folder.path, events })
    assert.notEqual(server.pid(), left)
    assert.match(String(events.of('fault')[0]?.error), new RegExp(`${left}, left by a gateway`))
    assert.equal(await connected.redis.get('a'), '1')
  })

  test('started by root, it runs as the configured user; else as whoever started it', async () => {
    await using folder = await temporaryFolder('embedded')
    await chmod(folder.path, 0o755)
    const inside = path.join(folder.path, 'embedded', 'redis')
    const events = recordEvents()
    await using server = await createEmbeddedRedis({ folder: inside, events, user: 'nobody' })
    const status = await readFile(`/proc/${server.pid()}/status`, 'utf8')
    const uid = userOf('nobody')?.uid ?? process.getuid?.()
    assert.match(status, new RegExp(`^Uid:\\s+${uid}\\s+${uid}`, 'm'))
  })

  test('a user that does not exist is told to root', async () => {
    if (process.getuid?.() !== 0) return
    await assert.rejects(accountOf('no-such-user'), /no user `no-such-user`/)
  })

  test('a path too long for a unix socket is told, not cut off', async () => {
    await using folder = await temporaryFolder('embedded')
    const deep = path.join(folder.path, 'd'.repeat(120))
    await assert.rejects(
      createEmbeddedRedis({ folder: deep, events: recordEvents() }),
      /too long for a unix socket/,
    )
  })
})
