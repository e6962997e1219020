// One connection to a scanning engine: every failure is kept as a value, its reply is bounded, and it can be cut.
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Octets of reply kept; an engine that says more than this is cut off. */
const REPLY_LIMIT_BYTES = 65_536
/** How long an engine's last words are waited for once it takes no more of ours. */
const LAST_WORDS_MS = 200
/** A full backlog is knocked at again after this, then ever later. */
const KNOCK_MS = { first: 10, longest: 200 }

/**
 * Where an engine listens: `unix:/run/clamav/clamd.ctl`, `tcp:10.0.0.3:3310`, `tcp:[2001:db8::1]:3310`.
 * Throws where it is neither.
 */
export function parseEngineAddress(
  address: string,
): { path: string } | { host: string; port: number } {
  const unix = /^unix:(\/.+)$/.exec(address)
  if (unix?.[1] !== undefined) return { path: unix[1] }
  const tcp = /^tcp:(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(address)
  const host = tcp?.[1] ?? tcp?.[2]
  const port = Number(tcp?.[3])
  if (host === undefined || port < 1 || port > 65_535)
    throw new Error(`not an engine's address: ${address} (write unix:/path or tcp:host:port)`)
  return { host, port }
}

type Written = (error?: Error | null) => void
type Pieces = { chunk: unknown; encoding: BufferEncoding }[]

/**
 * A socket that never emits 'error': a fault shows as 'close', with `fault` set. So it can be lent to a library
 * that prints such errors, or forgets to listen for them.
 */
export class EngineSocket extends net.Socket {
  fault: NodeJS.ErrnoException | undefined
  /** Resolves once closed, whatever the reason. */
  readonly ended: Promise<void>
  readonly #reply: Buffer[] = []
  #replyBytes = 0

  constructor(address: string) {
    super()
    this.ended = new Promise(resolve => this.once('close', () => resolve()))
    this.on('data', (chunk: Buffer) => {
      this.#replyBytes += chunk.length
      if (this.#replyBytes <= REPLY_LIMIT_BYTES) this.#reply.push(chunk)
      else this.destroy(new Error('its reply is too long'))
    })
    this.connect(parseEngineAddress(address))
    // To connect makes net.Socket's own `write` a property of this one, in front of that of the class.
    Reflect.deleteProperty(this, 'write')
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event !== 'error') return super.emit(event, ...args)
    this.fault ??= args[0] as NodeJS.ErrnoException
    return true
  }

  // An engine that says "too long" and closes makes our next write fail, and a failed write makes the stream drop
  // what it reads from then on, those words too. So it hears of the failure only a moment later.
  override _write(chunk: unknown, encoding: BufferEncoding, done: Written): void {
    super._write(chunk, encoding, error => this.#written(error, done))
  }

  override _writev(chunks: Pieces, done: Written): void {
    super._writev?.(chunks, error => this.#written(error, done))
  }

  // What is written in one turn of the loop, a command, a length and a piece, goes out in one system call.
  override write(chunk: string | Buffer): boolean {
    if (this.writableCorked === 0) {
      this.cork()
      setImmediate(() => this.uncork())
    }
    return super.write(chunk)
  }

  #written(error: Error | null | undefined, done: Written): void {
    if (!error) {
      done()
      return
    }
    this.fault ??= error
    setTimeout(() => this.destroy(), LAST_WORDS_MS)
  }

  /** What the engine said so far. */
  get reply(): string {
    return Buffer.concat(this.#reply).toString('latin1')
  }

  /** Resolves with true once connected, with false when that fails. */
  opened(): Promise<boolean> {
    return new Promise(resolve => {
      this.once('connect', () => resolve(true))
      this.once('close', () => resolve(false))
    })
  }

  /** Waits until little is buffered, or the connection is over. */
  async drained(): Promise<void> {
    if (this.destroyed || !this.writableNeedDrain) return
    await new Promise<void>(resolve => {
      const done = () => {
        this.off('drain', done)
        this.off('close', done)
        resolve()
      }
      this.on('drain', done)
      this.on('close', done)
    })
  }
}

/**
 * A connection that ends when `signal` aborts; already closed, with its `fault`, where there is none to be had.
 * A unix socket whose backlog is full answers EAGAIN: the engine is busy, not down, and this waits its turn.
 */
export async function openEngine(address: string, signal: AbortSignal): Promise<EngineSocket> {
  for (let waitMs = KNOCK_MS.first; ; waitMs = Math.min(waitMs * 2, KNOCK_MS.longest)) {
    const socket = new EngineSocket(address)
    const cut = () => socket.destroy()
    signal.addEventListener('abort', cut)
    void socket.ended.then(() => signal.removeEventListener('abort', cut))
    if (signal.aborted) cut()
    const isOpen = await socket.opened()
    if (isOpen || signal.aborted || socket.fault?.code !== 'EAGAIN') return socket
    await sleep(waitMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined)
  }
}
