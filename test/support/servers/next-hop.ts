// An internal mail server (SMTP or LMTP) that keeps what it got octet by octet, and lies, stalls or hangs up as told.
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import { type Certificate, selfSigned } from '../certificate.ts'
import { freePort } from '../process.ts'
import { type Connection, dotUnstuffed, openConnection } from './smtp-octets.ts'

/**
 * What is said instead of the usual reply: reply lines without CRLF, or
 * - `hang`: nothing, ever; what the client says then is not read.
 * - `hangUp`: FIN. `reset`: RST.
 * - `delayMs`: the usual reply (or `say`), later.
 * - `trickle`: these octets one by one, without end, `everyMs` apart.
 * - `afterwards`: this reply, and right after it the connection ends.
 */
export type Answer =
  | string
  | { do: 'hang' | 'hangUp' | 'reset' }
  | { delayMs: number; say?: string }
  | { trickle: string; everyMs: number }
  | { say: string; afterwards: 'hangUp' | 'reset' }

export type Behaviour = {
  /** Only for the connection of this number; the others are treated well. */
  connection?: number
  greeting?: Answer
  /** Instead of the answer to EHLO or LHLO. */
  ehlo?: Answer
  starttls?: Answer
  /** Say 220 to STARTTLS and then something that is no TLS. */
  brokenTls?: boolean
  mail?: Answer
  rcpt?: Answer | ((address: string, index: number) => Answer | undefined)
  data?: Answer
  /** After so many octets of content, instead of reading on. */
  body?: { afterOctets: number; answer: Answer }
  /** SMTP: the one reply. LMTP: asked for each accepted recipient. The message counts as received on 2xx only. */
  dot?: Answer | ((recipient: string, index: number) => Answer | undefined)
  rset?: Answer
  quit?: Answer
}

export type Received = {
  mailFrom: string
  /** The parameters of MAIL FROM as sent: `['SIZE=123', 'BODY=8BITMIME']`. */
  params: string[]
  /** Recipients it accepted and whose content it took, octets as in the command. */
  rcptTo: string[]
  /** The octets after removing the dots of transparency (RFC 5321 §4.5.2). */
  content: Buffer
  secure: boolean
  /** 1 for its first connection. */
  connection: number
}

export type NextHop = {
  host: string
  port: number
  /** `smtp://127.0.0.1:PORT`, `smtps://…` or `lmtp://…`. */
  url: string
  certificate: Certificate
  received: Received[]
  /** Every command line it read, of all connections. */
  commands: string[]
  /** Connections it has taken so far, and how many are open. */
  connections: { taken: number; open: number }
  /** Replaces the behaviour from the next command on. */
  behave(behaviour: Behaviour): void
  /** Closes the port and all connections. */
  stop(): Promise<void>
  /** Listens again on the same port. */
  restart(): Promise<void>
} & AsyncDisposable

export type NextHopOptions = {
  lmtp?: boolean
  /** `starttls` offers it, `implicit` speaks TLS from the first octet. Self-signed for `names`. */
  tls?: 'starttls' | 'implicit'
  names?: readonly string[]
  /** EHLO keywords with parameters, STARTTLS aside. */
  extensions?: readonly string[]
  behaviour?: Behaviour
  host?: string
  port?: number
}

const EXTENSIONS = ['PIPELINING', 'SIZE 104857600', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES']

type State = {
  behaviour: Behaviour
  readonly lmtp: boolean
  readonly extensions: readonly string[]
  readonly offersTls: boolean
  readonly certificate: Certificate
  readonly received: Received[]
  readonly commands: string[]
}

/** Starts it on 127.0.0.1 (or `host`), on a free port (or `port`). */
export async function startNextHop(options: NextHopOptions = {}): Promise<NextHop> {
  const host = options.host ?? '127.0.0.1'
  const port = options.port ?? (await freePort())
  const lmtp = options.lmtp ?? false
  const state: State = {
    behaviour: options.behaviour ?? {},
    lmtp,
    extensions: options.extensions ?? EXTENSIONS,
    offersTls: options.tls === 'starttls',
    certificate: selfSigned(...(options.names ?? ['mail.test', '127.0.0.1'])),
    received: [],
    commands: [],
  }
  const connections = { taken: 0, open: 0 }
  const sockets = new Set<net.Socket>()
  const take = (socket: net.Socket) => {
    const number = ++connections.taken
    connections.open++
    sockets.add(socket)
    // Its replies to pipelined commands would otherwise wait for the client's delayed acknowledgements.
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.once('close', () => {
      connections.open--
      sockets.delete(socket)
    })
    void converse(state, socket, number).finally(() => socket.destroy())
  }
  let server: net.Server
  const listen = async () => {
    server =
      options.tls === 'implicit'
        ? tls.createServer(state.certificate, take)
        : net.createServer({ allowHalfOpen: true }, take)
    server.on('tlsClientError', () => {})
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
  }
  const stop = async () => {
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  await listen()
  const scheme = lmtp ? 'lmtp' : options.tls === 'implicit' ? 'smtps' : 'smtp'
  return {
    host,
    port,
    url: `${scheme}://${host}:${port}`,
    certificate: state.certificate,
    received: state.received,
    commands: state.commands,
    connections,
    behave: behaviour => {
      state.behaviour = behaviour
    },
    stop,
    restart: listen,
    [Symbol.asyncDispose]: stop,
  }
}

const behaviourOf = ({ behaviour }: State, number: number): Behaviour =>
  behaviour.connection === undefined || behaviour.connection === number ? behaviour : {}

type Transaction = { mailFrom: string; params: string[]; rcptTo: string[] }

/** Ends the conversation: the peer is gone, or the behaviour says so. */
class Over extends Error {}

/** Says the usual reply, or what the behaviour wants instead. Returns the reply's first line. */
async function say(c: Connection, usual: string, answer?: Answer): Promise<string> {
  if (answer === undefined) return c.write(usual)
  if (typeof answer === 'string') return c.write(answer)
  if ('delayMs' in answer) {
    await Promise.race([sleep(answer.delayMs, undefined, { ref: false }), c.closed])
    return c.write(answer.say ?? usual)
  }
  if ('trickle' in answer) {
    let over = false
    void c.closed.then(() => {
      over = true
    })
    for (let i = 0; !over; i++) {
      c.socket.write(answer.trickle[i % answer.trickle.length] ?? '')
      await Promise.race([sleep(answer.everyMs, undefined, { ref: false }), c.closed])
    }
    throw new Over()
  }
  if ('say' in answer) c.write(answer.say)
  const what = 'say' in answer ? answer.afterwards : answer.do
  if (what === 'hang') await c.closed
  else if (what === 'reset') c.socket.resetAndDestroy()
  else await new Promise<void>(resolve => c.socket.end(resolve))
  throw new Over()
}

async function converse(state: State, socket: net.Socket, number: number): Promise<void> {
  let c = openConnection(socket)
  let transaction: Transaction | undefined
  try {
    await say(c, '220 mail.test ready', behaviourOf(state, number).greeting)
    for (;;) {
      const line = await c.readLine()
      if (line === undefined) return
      state.commands.push(line)
      const b = behaviourOf(state, number)
      const verb = line.split(' ', 1)[0]?.toUpperCase()
      if (verb === (state.lmtp ? 'LHLO' : 'EHLO')) {
        transaction = undefined
        await say(c, ehloReply(state, c), b.ehlo)
      } else if (verb === 'HELO' && !state.lmtp) await say(c, '250 mail.test')
      else if (verb === 'STARTTLS' && state.offersTls) {
        const ready = await say(c, '220 2.0.0 Go ahead', b.starttls)
        if (b.brokenTls) await say(c, '', { say: '500 what?', afterwards: 'hangUp' })
        if (ready.startsWith('220')) c = openConnection(await secured(state, c))
      } else if (verb === 'MAIL' && transaction) await say(c, '503 5.5.1 Nested MAIL')
      else if (verb === 'MAIL') {
        const [address, params] = pathOf(line)
        const said = await say(c, '250 2.1.0 Ok', b.mail)
        if (said.startsWith('2')) transaction = { mailFrom: address, params, rcptTo: [] }
      } else if (verb === 'RCPT') await recipient(c, b, line, transaction)
      else if (verb === 'DATA') {
        await content(state, c, transaction, number)
        transaction = undefined
      } else if (verb === 'RSET') {
        transaction = undefined
        await say(c, '250 2.0.0 Ok', b.rset)
      } else if (verb === 'NOOP') await say(c, '250 2.0.0 Ok')
      else if (verb === 'QUIT')
        await say(c, '', b.quit ?? { say: '221 2.0.0 Bye', afterwards: 'hangUp' })
      else await say(c, '502 5.5.2 Unknown command')
    }
  } catch (error) {
    if (!(error instanceof Over)) c.socket.destroy()
  }
}

function ehloReply(state: State, c: Connection): string {
  const offers = state.offersTls && !(c.socket instanceof tls.TLSSocket) ? ['STARTTLS'] : []
  const lines = ['mail.test', ...state.extensions, ...offers]
  return lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}`).join('\r\n')
}

async function secured(state: State, c: Connection): Promise<tls.TLSSocket> {
  c.release()
  const secure = new tls.TLSSocket(c.socket, { isServer: true, ...state.certificate })
  secure.on('error', () => {})
  await new Promise((resolve, reject) => {
    secure.once('secure', resolve)
    secure.once('close', () => reject(new Over()))
  })
  return secure
}

/** `MAIL FROM:<a@b> X=Y` → the octets between the outer angle brackets (latin1), and the parameters. */
function pathOf(line: string): [address: string, params: string[]] {
  const end = line.lastIndexOf('>')
  const params = line.slice(end + 1).trim()
  return [line.slice(line.indexOf('<') + 1, end), params === '' ? [] : params.split(' ')]
}

/** The reply that `say` is about to give; empty where it gives none. */
function willSay(answer: Answer | undefined, usual: string): string {
  if (answer === undefined) return usual
  if (typeof answer === 'string') return answer
  return 'say' in answer || 'delayMs' in answer ? (answer.say ?? usual) : ''
}

async function recipient(c: Connection, b: Behaviour, line: string, t?: Transaction) {
  if (!t) return say(c, '503 5.5.1 Need MAIL first')
  const [address] = pathOf(line)
  const answer = typeof b.rcpt === 'function' ? b.rcpt(address, t.rcptTo.length) : b.rcpt
  const said = await say(c, '250 2.1.5 Ok', answer)
  if (said.startsWith('2')) t.rcptTo.push(address)
  return said
}

async function content(state: State, c: Connection, t: Transaction | undefined, number: number) {
  if (!t) return say(c, '503 5.5.1 Need MAIL first')
  if (t.rcptTo.length === 0) return say(c, '554 5.5.1 No valid recipients')
  const behaviour = behaviourOf(state, number)
  const said = await say(c, '354 Go ahead', behaviour.data)
  if (!/^[23]/.test(said)) return said
  const { body } = behaviour
  const raw = await c.readContent(body?.afterOctets ?? Number.POSITIVE_INFINITY)
  if (raw === 'enough') {
    await say(c, '', body?.answer ?? { do: 'hangUp' })
    // The rest of the content is not read: closing now would reset the connection, and the reply with it.
    await c.closed
  }
  if (!Buffer.isBuffer(raw)) throw new Over()
  const { dot } = behaviourOf(state, number)
  const taken: string[] = []
  const before = state.received.length
  const secure = c.socket instanceof tls.TLSSocket
  const rest = { mailFrom: t.mailFrom, params: t.params, secure, connection: number }
  const keep = (rcptTo: string[]) =>
    state.received.splice(before, 1, { ...rest, rcptTo, content: dotUnstuffed(raw) })
  for (const [i, address] of (state.lmtp ? t.rcptTo : ['']).entries()) {
    const answer = typeof dot === 'function' ? dot(address, i) : dot
    // Kept before it is said: whoever read the 250 finds the message.
    if (willSay(answer, '250').startsWith('2')) {
      taken.push(address)
      keep(state.lmtp ? [...taken] : t.rcptTo)
    }
    await say(c, '250 2.0.0 Kept', answer)
  }
}
