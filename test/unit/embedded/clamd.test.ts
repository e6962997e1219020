// The embedded clamd: finds what it must, reports its limits, comes back, renews its signatures, and warns without.
import assert from 'node:assert/strict'
import { chmod, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { createEmbeddedClamd } from '../../../gateway/embedded/clamd.ts'
import { runFreshclam } from '../../../gateway/embedded/freshclam.ts'
import { hasOfficial, takeFromSystem } from '../../../gateway/embedded/signatures.ts'
import { recordEvents } from '../../support/events.ts'
import { temporaryFolder, until, userOf } from '../../support/process.ts'

const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}', '$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('')
const MIB = 1024 * 1024
/** A port nobody listens on: no mirror is reached, at once. */
const NO_MIRROR = 'http://127.0.0.1:9'

/** Scans by INSTREAM; a clamd that cuts us off at its limit may do so while we still send. */
async function scan(address: string, content: Buffer): Promise<string> {
  const socket = net.connect({ path: address.slice('unix:'.length) })
  socket.on('error', () => undefined)
  const size = (n: number) => {
    const four = Buffer.alloc(4)
    four.writeUInt32BE(n)
    return four
  }
  socket.write('zINSTREAM\0')
  for (let at = 0; at < content.length; at += MIB) {
    const chunk = content.subarray(at, at + MIB)
    socket.write(size(chunk.length))
    socket.write(chunk)
  }
  socket.write(size(0))
  let answer = ''
  socket.on('data', chunk => {
    answer += chunk.toString('latin1')
  })
  await new Promise(resolve => socket.once('close', resolve))
  return answer.replace('\0', '')
}

const ask = async (address: string, command: string) => {
  const socket = net.connect({ path: address.slice('unix:'.length) })
  socket.write(`z${command}\0`)
  return (await text(socket)).replace('\0', '')
}

/** A program that does what freshclam would: it puts a database where its configuration says. */
async function fakeFreshclam(folder: string, does: string): Promise<string> {
  const file = path.join(folder, 'fake-freshclam')
  await writeFile(file, `#!/bin/sh\ndb=$(sed -n 's/^DatabaseDirectory //p' "$2")\n${does}\n`)
  await chmod(file, 0o755)
  return file
}

const bare = { maxMessageSizeBytes: 5 * MIB, mirror: NO_MIRROR, systemSignatures: '/nonexistent' }

describe('embedded clamd', { timeout: 120_000 }, () => {
  test('without a mirror it starts with our own set, finds EICAR, and warns loudly', async () => {
    await using folder = await temporaryFolder('embedded')
    const events = recordEvents()
    await using clamd = await createEmbeddedClamd({ ...bare, folder: folder.path, events })
    assert.match(await scan(clamd.address, Buffer.from(EICAR)), /Eicar-Test-Signature\S* FOUND$/)
    const mail = `From: a@example.net\r\nSubject: x\r\n\r\nhello\r\n`
    assert.equal(await scan(clamd.address, Buffer.from(mail)), 'stream: OK')
    const [warning] = events.of('warned')
    assert.equal(warning?.name, 'test-signatures')
    assert.match(String(warning?.text), /NO OFFICIAL SIGNATURES.*can't be reached/)
    assert.deepEqual(events.of('engineChanged'), [
      { engine: 'clamav', address: clamd.address, up: true },
    ])

    // Its limits lie above ours, and what exceeds them is reported, never OK.
    assert.equal(await scan(clamd.address, Buffer.alloc(5 * MIB + 4096, 'a')), 'stream: OK')
    const config = await readFile(path.join(folder.path, 'clamd.conf'), 'utf8')
    assert.match(config, /^AlertExceedsMax yes$/m)
    assert.doesNotMatch(await scan(clamd.address, Buffer.alloc(20 * MIB, 'a')), /OK$/)

    const before = clamd.pid()
    process.kill(before, 'SIGKILL')
    await until('a new process', () => clamd.pid() !== before && events.of('engineChanged')[2])
    assert.match(await scan(clamd.address, Buffer.from(EICAR)), /FOUND$/)
  })

  test('official signatures replace our own as soon as freshclam gets them, without a restart', async () => {
    await using folder = await temporaryFolder('embedded')
    await using mirror = await listen()
    const events = recordEvents()
    const there = path.join(folder.path, 'there')
    // clamd takes a .cld only with its signed header, so the double of it lies beside a set clamd can load.
    const freshclam = await fakeFreshclam(
      folder.path,
      `test -e ${there} || { echo 'ERROR: no database yet'; exit 11; }
       echo 'Official-Test-Signature:0:*:4f6666696369616c20746573742066696c65' > "$db/daily.ndb"
       : > "$db/daily.cld"; sleep 0.2; rm -f "$db/daily.cld" ; cp "$db/daily.ndb" "$db/x.ndb"`,
    )
    await using clamd = await createEmbeddedClamd({
      ...{ ...bare, mirror: mirror.url, folder: path.join(folder.path, 'c'), events, freshclam },
      renewMs: { official: 60_000, test: 50 },
    })
    assert.match(String(events.of('warned')[0]?.text), /ERROR: no database yet/)
    const pid = clamd.pid()
    await writeFile(there, '')
    const found = () => scan(clamd.address, Buffer.from('Official test file'))
    await until('the new signature', async () => (await found()).endsWith('FOUND'))
    assert.equal(clamd.pid(), pid)
  })

  test('official ones end the warning; unreadable ones are put away, and it is back', async () => {
    await using folder = await temporaryFolder('embedded')
    await using mirror = await listen()
    const events = recordEvents()
    const go = path.join(folder.path, 'go')
    const freshclam = await fakeFreshclam(
      folder.path,
      `test -e ${go} && echo garbage > "$db/daily.cvd"; rm -f ${go}`,
    )
    await using clamd = await createEmbeddedClamd({
      ...{ ...bare, mirror: mirror.url, folder: path.join(folder.path, 'c'), events, freshclam },
      renewMs: { official: 60_000, test: 50 },
    })
    await writeFile(go, '')
    const warnings = (over: boolean) =>
      events.of('warned').filter(e => e.name === 'test-signatures' && Boolean(e.over) === over)
    await until('the end of the warning', () => warnings(true).length === 1)
    const before = warnings(false).length
    const pid = clamd.pid()
    process.kill(pid, 'SIGKILL')
    await until('a new process', () => clamd.pid() !== pid)
    assert.match(await scan(clamd.address, Buffer.from(EICAR)), /FOUND$/)
    assert.equal(warnings(false).length, before + 1)
    assert.deepEqual(await readdir(path.join(folder.path, 'c', 'db')), ['sallyport-test.ndb'])
  })

  test('a missing clamd, and a missing freshclam, are named with their packages', async () => {
    await using folder = await temporaryFolder('embedded')
    await using mirror = await listen()
    const events = recordEvents()
    const options = { ...bare, mirror: mirror.url, folder: folder.path, events }
    await assert.rejects(
      createEmbeddedClamd({ ...options, binary: 'clamd-none', freshclam: 'freshclam-none' }),
      /clamd-none.*apt install clamav-daemon/,
    )
    assert.match(
      String(events.of('warned')[0]?.text),
      /freshclam-none.*apt install clamav-freshclam/,
    )
  })

  test('started by root it runs as the configured user, and so does freshclam', async () => {
    await using folder = await temporaryFolder('embedded')
    await using mirror = await listen()
    await chmod(folder.path, 0o755)
    const freshclam = await fakeFreshclam(folder.path, 'id -u > "$db/ran-as.txt"; exit 1')
    const inside = path.join(folder.path, 'clamav')
    await using clamd = await createEmbeddedClamd({
      ...{ ...bare, mirror: mirror.url, folder: inside, events: recordEvents(), user: 'nobody' },
      freshclam,
    })
    const uid = String(userOf('nobody')?.uid ?? process.getuid?.())
    const status = await readFile(`/proc/${clamd.pid()}/status`, 'utf8')
    assert.match(status, new RegExp(`^Uid:\\s+${uid}\\s`, 'm'))
    assert.equal((await readFile(path.join(inside, 'db', 'ran-as.txt'), 'utf8')).trim(), uid)
    assert.equal(await ask(clamd.address, 'PING'), 'PONG')
  })
})

describe('signatures of the system', () => {
  test('are copied once, again when newer, and never as two forms of one database', async () => {
    await using system = await temporaryFolder('system')
    await using ours = await temporaryFolder('database')
    const put = async (name: string, seconds: number) => {
      await writeFile(path.join(system.path, name), name)
      await utimes(path.join(system.path, name), seconds, seconds)
    }
    assert.equal(await takeFromSystem(ours.path, system.path), false)
    await put('bytecode.cvd', 1000)
    assert.equal(await takeFromSystem(ours.path, system.path), true)
    assert.equal(await hasOfficial(ours.path), false)
    await put('daily.cvd', 1000)
    await put('freshclam.dat', 1000)
    assert.equal(await takeFromSystem(ours.path, system.path), true)
    assert.equal(await takeFromSystem(ours.path, system.path), false)
    assert.equal(await hasOfficial(ours.path), true)
    await rm(path.join(system.path, 'daily.cvd'))
    await put('daily.cld', 2000)
    assert.equal(await takeFromSystem(ours.path, system.path), true)
    assert.deepEqual((await readdir(ours.path)).sort(), ['bytecode.cvd', 'daily.cld'])
  })
})

/** Something to connect to: a mirror, as far as reaching it goes. */
async function listen() {
  const server = net.createServer(socket => socket.destroy())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => new Promise<void>(resolve => server.close(() => resolve())),
  }
}

describe('freshclam', () => {
  test('the real one takes our configuration, asks the mirror, and its words come back', async () => {
    await using folder = await temporaryFolder('freshclam')
    const asked: string[] = []
    const server = http.createServer((request, response) => {
      asked.push(request.url ?? '')
      response.writeHead(404).end()
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as net.AddressInfo
    const result = await runFreshclam({
      ...{ folder: folder.path, database: folder.path, account: undefined },
      ...{ signal: AbortSignal.timeout(20_000), mirror: `http://127.0.0.1:${port}` },
    })
    server.closeAllConnections()
    server.close()
    assert.ok(!result.ok && result.cause.startsWith('ERROR: '), JSON.stringify(result))
    assert.match(asked.join(' '), /daily\.cvd/)
  })

  test('is ended with the gateway', async () => {
    await using folder = await temporaryFolder('freshclam')
    await using mirror = await listen()
    const binary = await fakeFreshclam(folder.path, 'exec sleep 60')
    const began = Date.now()
    const result = await runFreshclam({
      ...{ folder: folder.path, database: folder.path, account: undefined, binary },
      ...{ signal: AbortSignal.timeout(200), mirror: mirror.url },
    })
    assert.equal(result.ok, false)
    assert.ok(Date.now() - began < 5000)
  })
})
