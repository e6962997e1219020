// Overrides smtp-server's internals (3.21.6), as only parser.ts does besides: replies, MAIL, RCPT, early ends, PROXY.
import type net from 'node:net'
import type { Readable } from 'node:stream'
import type { SecureContext, TLSSocket } from 'node:tls'
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server'
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js'
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { type Reply, reply, replyText } from '../reply.ts'
import type { DataAnswer, Gate, Line, Session } from './conversation.ts'
import { createHandshakes } from './handshakes.ts'
import { createHeardWatch, type HeardWatch } from './heard.ts'
import { Parser } from './parser.ts'
import { describeReply, failure, isComplete, printable } from './wording.ts'

/** A refused socket gets this long to read why. */
const LINGER_MS = 1_000
const COMMAND_OCTETS = 2048
/** Above one read of the socket: it goes on being read while a handler works, so that its end is seen. */
const PARSER_BUFFER_BYTES = 128 * 1024

/** For a session that rejects although it may not. */
const FAULT = reply(451, '4.3.0', 'Local error, try again later')

/** One connection. */
export class GatewayConnection extends SMTPConnection {
  readonly talk: Session
  readonly #gone = new AbortController()
  #command = 'CONNECT'
  readonly #heard: HeardWatch = createHeardWatch()
  #busy = false

  constructor(
    server: SMTPServer,
    socket: net.Socket,
    options: SMTPConnectionOptions | null | undefined,
    talk: (line: Line) => Session,
  ) {
    super(server, socket, options)
    const { remoteAddress: address, remotePort: port } = this
    this.talk = talk({ address, port, gone: this.#gone.signal })
  }

  /** Neither in DATA nor with a command being worked on. */
  get idle(): boolean {
    return !this.#busy && !this._handlerPending && !this._dataStream && !this._upgrading
  }

  /** Refuses to go on, unless a message is on its way; then the next command is refused. */
  dismiss(): void {
    if (this.idle && !this._closing && this._ready) this.send(421, 'Server shutting down')
  }

  destroy(): void {
    this._socket.destroy()
  }

  override _createParser(): SMTPStream {
    const parser = new Parser({
      maxCommandLength: COMMAND_OCTETS,
      highWaterMark: PARSER_BUFFER_BYTES,
    })
    parser.oncommand = (command, callback) => this._onCommand(command, callback)
    parser.on('error', error => this.send(421, `Error: ${error.message}`))
    return parser
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    const line = command.toString('latin1')
    const end = line.search(/[ \t]/)
    const name = (end < 0 ? line : line.slice(0, end)).toUpperCase()
    this.#command = name
    // Our budget counts these; the library's own ten would undercut it.
    this._unrecognizedCommands = 0
    const refusal = this._ready && !this._upgrading ? this.talk.admit(name) : undefined
    if (refusal) {
      this.send(refusal.code, replyText(refusal))
      if (refusal.code !== 421) callback?.()
      return
    }
    super._onCommand(command, callback)
  }

  override _resetSession(): void {
    super._resetSession()
    this.talk.reset()
  }

  override _getEnhancedStatusCode(): string {
    return ''
  }

  /** The only place that writes replies: each gets its enhanced code (RFC 2034) and id exactly once. */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    // RFC 2034 §3: not in the greeting, nor in answers to HELO and EHLO
    if (Array.isArray(data) || code === 354 || (context === false && code < 400)) {
      super.send(code, data, false)
      return
    }
    const text = data ?? ''
    if (isComplete(code, text)) {
      super.send(code, printable(text, this.talk.id()), false)
      return
    }
    const { enhanced, reason, words } = describeReply(code, text, context)
    if (code >= 400) this.talk.refused(this.#command, reason, reply(code, enhanced, words))
    super.send(code, printable(`${enhanced} ${words}`, this.talk.id()), false)
  }

  override handler_HELO(command: Buffer, callback: () => void): void {
    if (this.#greeting(command, callback)) super.handler_HELO(command, callback)
  }

  override handler_EHLO(command: Buffer, callback: () => void): void {
    if (this.#greeting(command, callback)) super.handler_EHLO(command, callback)
  }

  #greeting(command: Buffer, callback: () => void): boolean {
    const name = command.subarray(4).toString('latin1').trim()
    const refusal = this.talk.greeted(Buffer.from(name, 'latin1'))
    if (!refusal) return true
    this.send(refusal.code, replyText(refusal))
    callback()
    return false
  }

  override handler_MAIL(command: Buffer, callback: () => void): void {
    this.emitConnection()
    this.#answer(this.talk.mail(command), callback, () => {
      // The library only asks whether there is one; ours is in the session.
      this.session.envelope.mailFrom = { address: '', args: false }
    })
  }

  override handler_RCPT(command: Buffer, callback: () => void): void {
    this.#answer(this.talk.recipient(command), callback, () => {
      this.session.envelope.rcptTo = [{ address: '', args: false }]
    })
  }

  #answer(work: Promise<Reply>, callback: () => void, accepted: () => void): void {
    this.#busy = true
    const answer = (r: Reply) => {
      this.#busy = false
      if (r.code < 300) accepted()
      this.send(r.code, replyText(r))
      callback()
    }
    void work.then(answer, () => answer(FAULT))
  }

  /** Takes the content and answers the dot; `callback` is the library's, and called once. */
  receive(
    content: Readable,
    callback: (error?: Error | null, message?: string) => void,
    stopping: () => boolean,
  ): void {
    this.#busy = true
    // What was paused at the dot would hide the client's leaving while it waits.
    content.once('end', () => this._socket.resume())
    const answering: Promise<DataAnswer> = this.talk.data(content).catch(() => ({ reply: FAULT }))
    void answering.then(answer => {
      const open = !this._closing && !this._closed && this._socket.readyState === 'open'
      callback(answer.reply.code < 300 ? null : failure(answer.reply), replyText(answer.reply))
      this.#busy = false
      if (answer.answered) this.#told(answer.answered, open)
      if (answer.hangUp) this.close()
      if (stopping()) setImmediate(() => this.dismiss())
    })
  }

  #told(answered: (heard: boolean) => void, open: boolean): void {
    if (open && !this._closed) this.#heard.watch(this._socket, answered)
    else answered(false)
  }

  override _onClose(): void {
    const first = !this._closed
    super._onClose()
    if (!first) return
    this.#gone.abort()
    this.#heard.over()
    this.talk.closed()
  }
}

/** One listener. */
export class GatewayServer extends SMTPServer {
  readonly #gate: Gate
  readonly #handshakes = createHandshakes()
  readonly #sessions = new WeakMap<SMTPServerSession, GatewayConnection>()
  readonly #sockets = new Set<net.Socket>()
  stopping = false

  constructor(options: SMTPServerOptions, gate: Gate) {
    super(options)
    this.#gate = gate
  }

  /** The library only takes single addresses. */
  override _expectsProxyHeader(socket: net.Socket): boolean {
    return this.#gate.believesProxy(socket.remoteAddress ?? '')
  }

  override _acceptSocket(socket: net.Socket, handshake: boolean): (() => void) | false {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    const address = socket.remoteAddress ?? ''
    if (handshake && !this.#gate.handshake(address, this.#handshakes.pending(address))) {
      socket.on('error', () => undefined)
      socket.destroy()
      return false
    }
    const release = super._acceptSocket(socket, handshake)
    if (release === false || !this._pendingSockets.has(socket)) return release
    const late = () => this._pendingSockets.get(socket)?.destroy()
    const end = this.#handshakes.begin(address, socket, late)
    return () => {
      end()
      release()
    }
  }

  override connect(socket: net.Socket | TLSSocket, options?: SMTPConnectionOptions | null): void {
    const address = options?.remoteAddress ?? socket.remoteAddress
    if (address === undefined || socket.destroyed) {
      // It left before it was looked at.
      socket.on('error', () => undefined)
      socket.destroy()
      return
    }
    const refusal = this.#gate.enter(address)
    if (refusal) {
      turnAway(socket, refusal)
      return
    }
    const connection = new GatewayConnection(this, socket, options, line =>
      this.#gate.open(line, address),
    )
    this.connections.add(connection)
    this.#sessions.set(connection.session, connection)
    connection.on('error', error => this._onError(error))
    connection.init()
  }

  override _resolveSNI(
    servername: string,
    done: (error: Error | null, context?: SecureContext) => void,
  ): void {
    done(null, this.#gate.chooseContext(servername) ?? this.secureContext.get('*'))
  }

  override onConnect(session: SMTPServerSession, callback: (error?: Error | null) => void): void {
    const talk = this.#sessions.get(session)?.talk
    void talk?.connected().then(refusal => callback(refusal ? failure(refusal) : null))
  }

  override onSecure(
    socket: net.Socket | TLSSocket,
    session: SMTPServerSession,
    callback: (error?: Error | null) => void,
  ): void {
    const cipher = 'getCipher' in socket ? socket.getCipher() : undefined
    const version = 'getProtocol' in socket ? socket.getProtocol() : undefined
    this.#sessions
      .get(session)
      ?.talk.secured({ version: version ?? 'unknown', cipher: cipher?.name ?? 'unknown' })
    callback()
  }

  override onData(
    stream: Readable,
    session: SMTPServerSession,
    callback: (error?: Error | null, message?: string) => void,
  ): void {
    this.#sessions.get(session)?.receive(stream, callback, () => this.stopping)
  }

  /** Everything that is still open goes, handshakes and lingering sockets too. */
  destroyAll(): void {
    for (const connection of this.gatewayConnections()) connection.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }

  *gatewayConnections(): Iterable<GatewayConnection> {
    for (const connection of this.connections) {
      if (connection instanceof GatewayConnection) yield connection
    }
  }
}

function turnAway(socket: net.Socket, refusal: Reply): void {
  socket.on('error', () => undefined)
  // Unread octets would turn our close into a reset, and the reply would be lost.
  socket.resume()
  socket.end(`${refusal.code} ${printable(replyText(refusal))}\r\n`)
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}
