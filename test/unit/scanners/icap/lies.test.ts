// An ICAP server that lies, hangs or hangs up is never believed, and no reply is taken for that to another question.
import assert from 'node:assert/strict'
import type net from 'node:net'
import { after, before, test } from 'node:test'
import { createIcap } from '../../../../scanners/icap/icap.ts'
import type { FailureKind, Verdict } from '../../../../scanners/scanner.ts'
import { plainMessage } from '../../../support/eicar.ts'
import { until } from '../../../support/process.ts'
import { type LyingEngine, startLyingEngine } from '../../../support/servers/lying-engine.ts'
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
const scannerAt = (settings: Partial<Parameters<typeof createIcap>[1]> = {}) =>
  createIcap('icap-liar', {
    urls: [`icap://127.0.0.1:${liar.port}/scan`],
    ...{ bundle: false, concurrency: 5, deadlineMs: 1000, restMs: 0, ...settings },
  })
const LARGE = plainMessage({ body: 'x'.repeat(70).concat('\r\n').repeat(60_000) })

type Asked = (socket: net.Socket, request: string) => void

const OPTIONS =
  'ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nISTag: "1"\r\nEncapsulated: null-body=0\r\n\r\n'

/** Answers OPTIONS well, and what follows with `answer` once it is all there. */
const speaks =
  (answer: Asked, options = OPTIONS, whole = /\r\n0(; ieof)?\r\n\r\n$/) =>
  (socket: net.Socket): void => {
    let heard = ''
    socket.on('data', chunk => {
      heard = (heard + chunk.toString('latin1')).slice(-200_000)
      if (heard.startsWith('OPTIONS')) {
        if (heard.endsWith('\r\n\r\n')) {
          heard = ''
          socket.write(options)
        }
      } else if (whole.test(heard)) {
        const request = heard
        heard = ''
        answer(socket, request)
      }
    })
  }
const says = (words: string) => speaks(socket => void socket.write(words))
const ends = (words: string) => speaks(socket => void socket.end(words))
const early = (words: string) => speaks(socket => void socket.write(words), OPTIONS, /\r\n\r\n/)

const CLEAN = 'ICAP/1.0 204 Nothing\r\nISTag: "1"\r\n\r\n'
const http = (head: string, body: string, fields = '', chunks?: string) =>
  `ICAP/1.0 200 OK\r\n${fields}Encapsulated: res-hdr=0, res-body=${head.length}\r\n\r\n${head}` +
  (chunks ?? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`)
const OK = 'HTTP/1.1 200 OK\r\n\r\n'

async function ask(content = plainMessage()): Promise<Verdict> {
  await using scanner = await scannerAt()
  return (await scanner.scan(await spool.write(content), patient)).verdict
}

const LIES: [string, (socket: net.Socket) => void, FailureKind, Buffer?][] = [
  ['never answers', socket => void socket.resume(), 'slow'],
  ['never reads', () => {}, 'slow', LARGE],
  ['closes at once', socket => void socket.destroy(), 'down'],
  ['never answers after OPTIONS', speaks(() => {}), 'slow'],
  ['closes after OPTIONS', speaks(socket => void socket.destroy()), 'down'],
  ['closes half-way', speaks(s => void s.destroy(), OPTIONS, /\r\n\r\n/), 'down', LARGE],
  ['half a status line', ends('ICAP/1.0 2'), 'down'],
  ['half a header', ends('ICAP/1.0 204 Nothing\r\nISTag: '), 'down'],
  ['204 before it has all', early(CLEAN), 'garbled', LARGE],
  ['HTTP', says('HTTP/1.1 204 No Content\r\n\r\n'), 'garbled'],
  ['garbage', says('\xff\xfe\x00\x01 garbage\r\n\r\n'), 'garbled'],
  ['line ends without CR', says('ICAP/1.0 204 Nothing\n\n'), 'garbled'],
  ['200 with no fields', says('ICAP/1.0 200 OK\r\n\r\n'), 'garbled'],
  [
    '200 that carries nothing',
    says('ICAP/1.0 200 OK\r\nEncapsulated: null-body=0\r\n\r\n'),
    'garbled',
  ],
  ['100 after all of it', says('ICAP/1.0 100 Continue\r\n\r\n'), 'garbled'],
  ['206', says('ICAP/1.0 206 Partial\r\nEncapsulated: null-body=0\r\n\r\n'), 'garbled'],
  ['a field without a name', says('ICAP/1.0 204 X\r\nno colon here\r\n\r\n'), 'garbled'],
  [
    'huge header',
    says(`ICAP/1.0 204 X\r\n${`X-A: ${'y'.repeat(4000)}\r\n`.repeat(50)}\r\n`),
    'garbled',
  ],
  ['a huge line', says(`ICAP/1.0 204 ${'y'.repeat(200_000)}`), 'garbled'],
  ['many fields', says(`ICAP/1.0 204 X\r\n${'X-A: y\r\n'.repeat(500)}\r\n`), 'garbled'],
  [
    'Encapsulated out of order',
    says('ICAP/1.0 200 OK\r\nEncapsulated: res-body=9, res-hdr=0\r\n\r\n'),
    'garbled',
  ],
  [
    'Encapsulated beyond all bounds',
    says('ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=999999\r\n\r\n'),
    'garbled',
  ],
  [
    'Encapsulated twice',
    says(`ICAP/1.0 200 OK\r\nEncapsulated: null-body=0\r\n${http(OK, '').slice(17)}`),
    'garbled',
  ],
  ['a body that is another', says(http(OK, 'something else')), 'garbled'],
  ['an empty body', says(http(OK, '', '', '0\r\n\r\n')), 'garbled'],
  ['an endless body', says(http(OK, 'x'.repeat(100_000))), 'garbled'],
  ['chunks without length', says(http(OK, '', '', 'xyz\r\n')), 'garbled'],
  ['a negative chunk', says(http(OK, '', '', '-5\r\nhello\r\n0\r\n\r\n')), 'garbled'],
  ['a chunk longer than it says', says(http(OK, '', '', '2\r\nhello\r\n0\r\n\r\n')), 'garbled'],
  ['a chunk shorter than it says', ends(http(OK, '', '', '40\r\nhello\r\n0\r\n\r\n')), 'down'],
  ['a body without its end', ends(http(OK, '', '', '5\r\nhello\r\n')), 'down'],
  ['an HTTP error within', says(http('HTTP/1.1 500 Oops\r\n\r\n', 'oops')), 'garbled'],
  ['no HTTP within', says(http('hello\r\n\r\n', 'oops')), 'garbled'],
  ['400', says('ICAP/1.0 400 Bad\r\n\r\n'), 'garbled'],
  ['404', says('ICAP/1.0 404 Not found\r\n\r\n'), 'down'],
  ['408', says('ICAP/1.0 408 Timeout\r\n\r\n'), 'slow'],
  ['413', says('ICAP/1.0 413 Too large\r\n\r\n'), 'limit'],
  ['500', says('ICAP/1.0 500 Error\r\n\r\n'), 'down'],
  ['503', says('ICAP/1.0 503 Overloaded\r\n\r\n'), 'down'],
  [
    'OPTIONS without methods',
    speaks(() => {}, 'ICAP/1.0 200 OK\r\nEncapsulated: null-body=0\r\n\r\n'),
    'garbled',
  ],
  ['OPTIONS refused', speaks(() => {}, 'ICAP/1.0 404 No\r\n\r\n'), 'garbled'],
]
for (const [lie, behaviour, failure, content] of LIES)
  test(`${lie}: ${failure}`, async () => {
    liar.behave(behaviour)
    const verdict = await ask(content)
    assert.equal(verdict.kind === 'failed' && verdict.failure, failure, JSON.stringify(verdict))
    await until('its connections to be over', () => liar.open() === 0)
  })

const found = (field: string) => `ICAP/1.0 200 OK\r\n${field}\r\nEncapsulated: null-body=0\r\n\r\n`
const THREATS: [string, string, Verdict][] = [
  [
    'Type=0',
    found('X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;'),
    { kind: 'infected', name: 'Eicar' },
  ],
  [
    'a 204 that names one',
    CLEAN.replace('ISTag', 'X-Virus-ID: A.B\r\nISTag'),
    { kind: 'infected', name: 'A.B' },
  ],
  [
    'a 403 that names one',
    'ICAP/1.0 403 No\r\nX-Virus-Name: A.B\r\n\r\n',
    { kind: 'infected', name: 'A.B' },
  ],
  [
    'folded',
    found('X-Violations-Found: 1\r\n\tfile.zip\r\n\tA.B\r\n\t0\r\n\t0'),
    { kind: 'infected', name: 'A.B' },
  ],
  [
    'not folded',
    found('X-Violations-Found: 1\r\nfile.zip\r\nA.B\r\n0\r\n0'),
    { kind: 'infected', name: 'A.B' },
  ],
  [
    'OPSWAT',
    found('X-Response-Info: Blocked\r\nX-Response-Desc: Infected'),
    { kind: 'infected', name: 'Infected' },
  ],
  [
    'encrypted',
    found('X-Infection-Found: Type=2; Resolution=0; Threat=Encrypted container;'),
    { kind: 'unscannable', reasons: ['encrypted-archive'] },
  ],
  [
    'too deep',
    found('X-Infection-Found: Type=2; Resolution=0; Threat=Container violation;'),
    { kind: 'unscannable', reasons: ['unsupported-archive'] },
  ],
  [
    'in the HTTP header',
    http('HTTP/1.1 200 OK\r\nX-Virus-ID: A.B\r\n\r\n', 'x'),
    { kind: 'infected', name: 'A.B' },
  ],
  [
    'a page instead',
    http('HTTP/1.1 403 Forbidden\r\n\r\n', 'no'),
    { kind: 'infected', name: 'blocked by the service (403)' },
  ],
]
for (const [form, words, verdict] of THREATS)
  test(`a threat: ${form}`, async () => {
    liar.behave(says(words))
    assert.deepEqual(await ask(), verdict)
  })

test('no threat: fields that say there is none', async () => {
  for (const field of ['X-Virus-ID: none', 'X-Violations-Found: 0', 'X-Response-Info: Allowed']) {
    liar.behave(says(CLEAN.replace('ISTag', `${field}\r\nISTag`)))
    assert.deepEqual(await ask(), { kind: 'clean' }, field)
  }
})

test('what comes back octet by octet is clean, also by REQMOD', async () => {
  const body = (request: string) =>
    request.slice(request.indexOf('\r\n\r\n', request.indexOf('HTTP/1.1')) + 4)
  for (const method of ['RESPMOD', 'REQMOD']) {
    const echo: Asked = (socket, request) => {
      assert.ok(request.startsWith(method))
      const chunks =
        method === 'REQMOD' ? body(request) : body(request.slice(request.indexOf('HTTP/1.1 200')))
      const words = http(OK, '', '', chunks)
      socket.write(
        method === 'REQMOD'
          ? words.replace('res-hdr', 'req-hdr').replace('res-body', 'req-body')
          : words,
      )
    }
    liar.behave(speaks(echo, OPTIONS.replace('RESPMOD', method)))
    assert.deepEqual(await ask(), { kind: 'clean' }, method)
  }
})

test('a service that is content with the preview is made to look at all of it', async () => {
  const asked: string[] = []
  const preview = OPTIONS.replace('ISTag', 'Preview: 4\r\nISTag')
  const note: Asked = (socket, request) => {
    asked.push(/Preview/.test(request) ? 'preview' : 'whole')
    socket.write(CLEAN)
  }
  liar.behave(speaks(note, preview))
  assert.deepEqual(await ask(), { kind: 'clean' })
  assert.deepEqual(asked, ['preview', 'whole'])
  const only: Asked = (socket, request) =>
    void socket.write(/Preview/.test(request) ? CLEAN : 'ICAP/1.0 400 No\r\n\r\n')
  liar.behave(speaks(only, preview))
  assert.equal((await ask()).kind, 'failed')
})

test('connections are kept; what a server says unasked is not taken for a reply', async () => {
  liar.behave(says(CLEAN))
  await using scanner = await scannerAt()
  const message = await spool.write(plainMessage())
  const before = liar.connections()
  for (let n = 0; n < 5; n++)
    assert.deepEqual((await scanner.scan(message, patient)).verdict, { kind: 'clean' })
  assert.equal(liar.connections() - before, 1)

  let questions = 0
  liar.behave(
    speaks(socket => {
      questions++
      socket.write(questions === 1 ? CLEAN + CLEAN : 'ICAP/1.0 400 No\r\n\r\n')
    }),
  )
  await using other = await scannerAt()
  assert.deepEqual((await other.scan(message, patient)).verdict, { kind: 'clean' })
  await new Promise(resolve => setTimeout(resolve, 50))
  assert.equal((await other.scan(message, patient)).verdict.kind, 'failed')
})

test('a kept connection that the server closes meanwhile is replaced', async () => {
  liar.behave(speaks(socket => void socket.end(CLEAN)))
  await using scanner = await scannerAt()
  const message = await spool.write(plainMessage())
  for (let n = 0; n < 5; n++)
    assert.deepEqual((await scanner.scan(message, patient)).verdict, { kind: 'clean' })
})

test('no more connections than Max-Connections', async () => {
  let most = 0
  let busy = 0
  const slowly: Asked = socket => {
    most = Math.max(most, ++busy)
    setTimeout(() => {
      busy--
      socket.write(CLEAN)
    }, 20)
  }
  liar.behave(speaks(slowly, OPTIONS.replace('ISTag', 'Max-Connections: 2\r\nISTag')))
  await using scanner = await scannerAt({ concurrency: 20, deadlineMs: 5000 })
  await scanner.version?.()
  const message = await spool.write(plainMessage())
  const found = await Promise.all(Array.from({ length: 30 }, () => scanner.scan(message, patient)))
  assert.ok(found.every(({ verdict }) => verdict.kind === 'clean'))
  assert.ok(most <= 2, `${most} at once`)
})

test('called off: no rest for the server', async () => {
  liar.behave(speaks(() => {}))
  await using scanner = await scannerAt()
  const caller = new AbortController()
  const scanning = scanner.scan(await spool.write(plainMessage()), caller.signal)
  await until('the connection', () => liar.open() === 1)
  caller.abort()
  assert.equal((await scanning).verdict.kind, 'failed')
  assert.ok(scanner.engines().every(engine => engine.up))
})
