// An SMTP client that sends exactly the octets it is given, and keeps every reply with the time it took.
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'

/** A reply as read: `text` without the codes, lines of a multi-line reply joined with LF. */
export type Said = {
  code: number
  /** Empty where the reply carries none. */
  enhanced: string
  text: string
  /** The message id in brackets at its end. */
  id?: string
  /** Milliseconds since the command, or the final dot, was written. */
  tookMs: number
}

export type SmtpClient = {
  greeting: Said
  /** Writes the line and CRLF, and reads the reply. */
  command(line: string): Promise<Said>
  /** Writes octets as they are. */
  write(octets: string | Buffer): Promise<void>
  /** Reads the next reply. Rejects when the connection ends before, or after `patienceMs`. */
  read(): Promise<Said>
  /** STARTTLS and the handshake, any certificate. Answers the reply to STARTTLS; EHLO is to be said again. */
  startTls(): Promise<Said>
  /** Content with the dots of RFC 5321 §4.5.2 and the final one; reads no reply. */
  writeContent(content: Buffer): Promise<void>
  /** QUIT, its reply, and the end of the connection. */
  quit(): Promise<Said>
  /** RST: gone without a word. */
  reset(): void
  socket(): net.Socket
} & Disposable

const REPLY = /^(\d{3})(?:[ -](\d\.\d{1,3}\.\d{1,3}))?[ -]?(.*)$/
const PATIENCE_MS = 60_000

function understood(lines: string[], tookMs: number): Said {
  const parts = lines.map(line => REPLY.exec(line))
  const [first] = parts
  if (!first) throw new Error(`not an SMTP reply: ${JSON.stringify(lines)}`)
  const text = parts.map(part => part?.[3] ?? '').join('\n')
  const id = /\[(m[0-9a-z-]+)\]$/.exec(text)?.[1]
  const base = { code: Number(first[1]), enhanced: first[2] ?? '', text, tookMs }
  return id === undefined ? base : { ...base, id }
}

/** The octets of `content` as they go over the wire, with the final dot. */
export function dotStuffed(content: Buffer): Buffer {
  const text = content.toString('latin1')
  const stuffed = text.replace(/(^|\r\n)\./g, '$1..')
  return Buffer.from(
    `${stuffed}${text === '' || stuffed.endsWith('\r\n') ? '' : '\r\n'}.\r\n`,
    'latin1',
  )
}

/** Collects lines from a socket until one ends a reply. */
function replyReader(socket: net.Socket, patienceMs: number) {
  let rest = ''
  let lines: string[] = []
  const replies: string[][] = []
  let over = false
  let wake = () => {}
  socket.on('data', (chunk: Buffer) => {
    rest += chunk.toString('utf8')
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end).replace(/\r$/, '')
      rest = rest.slice(end + 1)
      lines.push(line)
      if (line[3] === '-') continue
      replies.push(lines)
      lines = []
    }
    wake()
  })
  socket.on('error', () => {})
  socket.once('close', () => {
    over = true
    wake()
  })
  socket.once('end', () => {
    over = true
    wake()
  })
  return async (): Promise<string[]> => {
    const end = Date.now() + patienceMs
    for (;;) {
      const reply = replies.shift()
      if (reply) return reply
      if (over) throw new Error('the server closed the connection')
      if (Date.now() > end) throw new Error(`no reply within ${patienceMs} ms`)
      await Promise.race([
        new Promise<void>(resolve => {
          wake = resolve
        }),
        sleep(end - Date.now() + 1, undefined, { ref: false }),
      ])
    }
  }
}

/** Connects and reads the greeting. `implicitTls` speaks TLS from the first octet. */
export async function connectSmtp(options: {
  port: number
  host?: string
  /** Whom it comes from: any address of 127.0.0.0/8. */
  localAddress?: string
  implicitTls?: boolean
  servername?: string
  /** Milliseconds to wait for a reply; a minute by default. */
  patienceMs?: number
}): Promise<SmtpClient> {
  const host = options.host ?? '127.0.0.1'
  const local = options.localAddress === undefined ? {} : { localAddress: options.localAddress }
  const trust = { rejectUnauthorized: false, servername: options.servername ?? 'mx.test' }
  let socket: net.Socket = options.implicitTls
    ? tls.connect({ port: options.port, host, ...local, ...trust })
    : net.connect({ port: options.port, host, ...local })
  socket.setNoDelay(true)
  const patienceMs = options.patienceMs ?? PATIENCE_MS
  let next = replyReader(socket, patienceMs)
  let since = Date.now()
  const read = async () => understood(await next(), Date.now() - since)
  const write = async (octets: string | Buffer) => {
    if (!socket.writable) throw new Error('the connection is closed')
    const room = socket.write(octets)
    if (!room && !socket.destroyed) {
      const gone = new AbortController()
      const { signal } = gone
      await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })])
      gone.abort()
    }
    since = Date.now()
  }
  const command = async (line: string) => {
    await write(`${line}\r\n`)
    return read()
  }
  return {
    greeting: await read(),
    command,
    write,
    read,
    async startTls() {
      const said = await command('STARTTLS')
      if (said.code !== 220) return said
      socket.removeAllListeners('data')
      const secure = tls.connect({ socket, ...trust })
      await once(secure, 'secureConnect')
      socket = secure
      next = replyReader(secure, patienceMs)
      return said
    },
    writeContent: content => write(dotStuffed(content)),
    async quit() {
      const said = await command('QUIT')
      socket.end()
      return said
    },
    reset: () => void socket.resetAndDestroy(),
    socket: () => socket,
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

export type Sent = {
  greeting: Said
  mail: Said
  /** One for each of `to`, in its order. */
  recipients: Said[]
  /** To DATA, where it was not 354. */
  data?: Said
  /** To the final dot; its `tookMs` is how long it was held. */
  dot?: Said
}

/** The reply that told the client how it ended: to the dot, or the last refusal before it. */
export const lastOf = (sent: Sent): Said =>
  sent.dot ?? sent.data ?? sent.recipients.find(said => said.code >= 400) ?? sent.mail

export type Mail = {
  port: number
  host?: string
  localAddress?: string
  from: string
  to: string[]
  content: Buffer
  helo?: string
  starttls?: boolean
  /** MAIL, all RCPT and DATA in one segment (RFC 2920). */
  pipelining?: boolean
  /** After MAIL FROM:<…>, ` SIZE=123`. */
  parameters?: string
  /** Milliseconds to wait for each reply. */
  patienceMs?: number
}

/** One message in a session of its own; recipients refused are left out, as a real client does. */
export async function sendMail(mail: Mail): Promise<Sent> {
  using client = await connectSmtp(mail)
  const { greeting } = client
  await client.command(`EHLO ${mail.helo ?? 'client.test'}`)
  if (mail.starttls) {
    const said = await client.startTls()
    if (said.code !== 220) return { greeting, mail: said, recipients: [] }
    await client.command(`EHLO ${mail.helo ?? 'client.test'}`)
  }
  const commands = [
    `MAIL FROM:<${mail.from}>${mail.parameters ?? ''}`,
    ...mail.to.map(address => `RCPT TO:<${address}>`),
    'DATA',
  ]
  if (mail.pipelining) await client.write(commands.map(line => `${line}\r\n`).join(''))
  const ask = (line: string) => (mail.pipelining ? client.read() : client.command(line))
  const sent: Sent = { greeting, mail: await ask(commands[0] ?? ''), recipients: [] }
  if (sent.mail.code >= 400 && !mail.pipelining) return sent
  for (const line of commands.slice(1, -1)) sent.recipients.push(await ask(line))
  const wanted = mail.pipelining || sent.recipients.some(said => said.code < 300)
  if (wanted) {
    const data = await ask('DATA')
    if (data.code === 354) {
      await client.writeContent(mail.content)
      sent.dot = await client.read()
    } else sent.data = data
  }
  await client.quit().catch(() => {})
  return sent
}
