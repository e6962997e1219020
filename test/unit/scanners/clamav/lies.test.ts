// A clamd that lies, hangs or hangs up is never believed; others are asked instead, and sockets don't pile up.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { clamavSettings, createClamav } from '../../../../scanners/clamav/clamav.ts'
import type { FailureKind, Scanner, Verdict } from '../../../../scanners/scanner.ts'
import { plainMessage } from '../../../support/eicar.ts'
import { freePort, until } from '../../../support/process.ts'
import {
  afterStream,
  type Behaviour,
  type LyingEngine,
  onceStreamed,
  startLyingEngine,
} from '../../../support/servers/lying-engine.ts'
import { type Messages, messages } from '../fixtures.ts'

let liar: LyingEngine
let spool: Messages
before(async () => {
  ;[liar, spool] = await Promise.all([startLyingEngine(socket => socket.resume()), messages()])
})
after(async () => {
  await liar[Symbol.asyncDispose]()
  await spool[Symbol.asyncDispose]()
})

const patient = new AbortController().signal
const clamav = (
  addresses: string[],
  settings: { deadlineMs?: number; restMs?: number; concurrency?: number } = {},
) =>
  createClamav(
    clamavSettings.parse({
      addresses,
      concurrency: 20,
      deadlineMs: 2000,
      restMs: 60_000,
      ...settings,
    }),
  )
const CLEAN = afterStream('stream: OK\0')

async function scan(scanner: Scanner, content = plainMessage()): Promise<Verdict> {
  return (await scanner.scan(await spool.write(content), patient)).verdict
}

const early =
  (words: string): Behaviour =>
  socket => {
    socket.resume()
    socket.write(words)
  }

const LIES: [string, Behaviour, FailureKind][] = [
  ['never answers', socket => socket.resume(), 'slow'],
  ['never reads', () => {}, 'slow'],
  ['closes at once', socket => socket.destroy(), 'down'],
  ['closes without a reply', afterStream(''), 'down'],
  ['resets the connection', socket => socket.once('data', () => socket.resetAndDestroy()), 'down'],
  ['half a reply', afterStream('stream: O'), 'garbled'],
  ['a reply without its end', afterStream('stream: OK'), 'garbled'],
  ['a line end instead of NUL', afterStream('stream: OK\n'), 'garbled'],
  ['another name', afterStream('x: OK\0'), 'garbled'],
  ['leading space', afterStream(' stream: OK\0'), 'garbled'],
  ['two replies', afterStream('stream: OK\0stream: OK\0'), 'garbled'],
  ['found, then OK', afterStream('stream: A.B FOUND\0x: OK\0'), 'garbled'],
  ['found without a name', afterStream('stream:  FOUND\0'), 'garbled'],
  ['garbage', afterStream(Buffer.from([0xff, 0xfe, 0, 1, 2])), 'garbled'],
  ['empty but for NUL', afterStream('\0'), 'garbled'],
  ['ERROR', afterStream('ERROR'), 'garbled'],
  ['an error with text', afterStream("stream: Can't allocate memory ERROR\0"), 'garbled'],
  ['UNKNOWN COMMAND', afterStream('UNKNOWN COMMAND\0'), 'garbled'],
  ['COMMAND READ TIMED OUT', afterStream('COMMAND READ TIMED OUT\n'), 'slow'],
  ['size limit', afterStream('INSTREAM size limit exceeded. ERROR\0'), 'limit'],
  [
    'scan time limit',
    afterStream('stream: Heuristics.Limits.Exceeded.MaxScanTime FOUND\0'),
    'limit',
  ],
  ['OK before it has seen anything', early('stream: OK\0'), 'garbled'],
  ['an endless reply', afterStream(Buffer.alloc(1_000_000, 'x')), 'garbled'],
]
for (const [lie, behaviour, failure] of LIES)
  test(`${lie}: ${failure}`, async () => {
    liar.behave(behaviour)
    await using scanner = await clamav([liar.address], { deadlineMs: 1500 })
    const large = plainMessage({ body: 'x'.repeat(70).concat('\r\n').repeat(20_000) })
    const verdict = await scan(
      scanner,
      lie.includes('reads') || lie.includes('before') ? large : undefined,
    )
    assert.equal(verdict.kind === 'failed' && verdict.failure, failure, JSON.stringify(verdict))
    await until('its connections to be over', () => liar.open() === 0)
  })

test('OK after half a second, in two pieces, is clean', async () => {
  liar.behave(
    onceStreamed(socket => {
      setTimeout(() => socket.write('stream: '), 300)
      setTimeout(() => socket.end('OK\0'), 500)
    }),
  )
  await using scanner = await clamav([liar.address])
  assert.deepEqual(await scan(scanner), { kind: 'clean' })
})

test('refused, closed and hung addresses: the next is asked, and those rest', async () => {
  await using hung = await startLyingEngine(socket => socket.resume())
  await using closing = await startLyingEngine(socket => socket.destroy())
  const refused = `tcp:127.0.0.1:${await freePort()}`
  liar.behave(CLEAN)
  for (const bad of [refused, closing.address, hung.address]) {
    await using scanner = await clamav([bad, liar.address])
    assert.deepEqual(await scan(scanner), { kind: 'clean' }, bad)
    // A conversation cut off midway is held against an engine only the second time.
    while (bad === closing.address && scanner.engines()[0]?.up)
      assert.deepEqual(await scan(scanner), { kind: 'clean' })
    assert.deepEqual(scanner.engines(), [
      { address: bad, up: false },
      { address: liar.address, up: true },
    ])
    for (let time = 0; time < 4; time++) assert.deepEqual(await scan(scanner), { kind: 'clean' })
  }
  assert.equal(hung.connections(), 1)
})

test('after its rest an address is asked again', async () => {
  await using other = await startLyingEngine(afterStream(''))
  liar.behave(CLEAN)
  await using scanner = await clamav([other.address, liar.address], { restMs: 100 })
  assert.equal((await scan(scanner)).kind, 'clean')
  other.behave(CLEAN)
  await until('it to be up', async () => {
    assert.equal((await scan(scanner)).kind, 'clean')
    return scanner.engines().every(engine => engine.up)
  })
  assert.ok(other.connections() >= 2)
})

test('scans called off by somebody else do not put the address to rest', async () => {
  liar.behave(socket => socket.resume())
  await using scanner = await clamav([liar.address])
  const caller = new AbortController()
  const scanning = scanner.scan(await spool.write(plainMessage()), caller.signal)
  await until('the connection', () => liar.open() === 1)
  caller.abort()
  assert.equal((await scanning).verdict.kind, 'failed')
  assert.deepEqual(scanner.engines(), [{ address: liar.address, up: true }])
})

test('no more connections to an address than its concurrency', async () => {
  let most = 0
  liar.behave(socket => {
    most = Math.max(most, liar.open())
    onceStreamed(() => setTimeout(() => socket.end('stream: OK\0'), 20))(socket)
  })
  await using scanner = await clamav([liar.address], { concurrency: 3 })
  const message = await spool.write(plainMessage())
  const found = await Promise.all(Array.from({ length: 30 }, () => scanner.scan(message, patient)))
  assert.ok(found.every(finding => finding.verdict.kind === 'clean'))
  // One that is closing may still be counted on the other side.
  assert.ok(most <= 6, `${most} at once`)
})

test('a slow reader of 50 MB does not fill our memory', async () => {
  const content = await spool.write(Buffer.alloc(50_000_000, 'x\r\n'))
  let read = 0
  liar.behave(socket => {
    socket.on('data', chunk => {
      read += chunk.length
      socket.pause()
      setTimeout(() => socket.resume(), 2)
    })
  })
  await using scanner = await clamav([liar.address], { deadlineMs: 1500 })
  // What is held, not what the reader of the message has let go of and nobody has collected yet.
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heldBytes = () => {
    collect()
    return process.memoryUsage().arrayBuffers
  }
  const before = heldBytes()
  let most = 0
  const watch = setInterval(() => {
    most = Math.max(most, heldBytes() - before)
  }, 200)
  const { verdict } = await scanner.scan(content, patient)
  clearInterval(watch)
  assert.equal(verdict.kind === 'failed' && verdict.failure, 'slow')
  assert.ok(read > 1_000_000 && read < 50_000_000, `${read} read`)
  assert.ok(most < 24_000_000, `${most} octets buffered`)
})
