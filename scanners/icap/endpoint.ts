// One address of an ICAP service: its options, its connections kept alive, and one question at a time on each.
import type { Sendable } from '../content.ts'
import type { Verdict } from '../scanner.ts'
import { type IcapConnection, type IcapService, Over, openIcap } from './connection.ts'
import { type Answer, askIcap, failureOf } from './exchange.ts'
import { askOptions, type IcapOptions } from './options.ts'

/** Milliseconds a connection without work is kept. */
const IDLE_MS = 30_000

export type IcapEndpoint = {
  /** Never rejects. When `signal` aborts, the connection is cut and the verdict is `failed` (`slow`). */
  scan(content: Sendable, signal: AbortSignal): Promise<Verdict>
  /** Asks anew; undefined where it does not answer before `signal` aborts. */
  look(signal: AbortSignal): Promise<IcapOptions | undefined>
  /** What it said last of its signatures. */
  istag(): string
  /** Connections at once, as far as it has said. */
  maxConnections(): number
  close(): void
}

/** At most `most` connections are kept. */
export function createIcapEndpoint(service: IcapService, most: number): IcapEndpoint {
  const idle = new Set<IcapConnection>()
  let options: IcapOptions | undefined
  let istag = ''
  let closed = false

  function keep(connection: IcapConnection): void {
    const { socket } = connection
    if (
      closed ||
      idle.size >= Math.min(most, options?.maxConnections ?? most) ||
      socket.destroyed
    ) {
      socket.destroy()
      return
    }
    socket.unref()
    socket.setTimeout(IDLE_MS)
    idle.add(connection)
  }

  function takeIdle(): IcapConnection | undefined {
    for (const connection of idle) {
      idle.delete(connection)
      if (connection.expect()) return connection
      connection.socket.destroy()
    }
    return undefined
  }

  async function open(signal: AbortSignal): Promise<IcapConnection> {
    const connection = await openIcap(service, signal)
    const { socket } = connection
    socket.on('timeout', () => socket.destroy())
    socket.on('close', () => idle.delete(connection))
    return connection
  }

  /** Lets `work` use a connection; a kept one that turns out to be closed is replaced once. */
  async function use<T>(
    signal: AbortSignal,
    work: (connection: IcapConnection) => Promise<{ result: T; reusable: boolean }>,
    fresh = false,
  ): Promise<T> {
    const kept = fresh ? undefined : takeIdle()
    const connection = kept ?? (await open(signal))
    const { socket } = connection
    const cut = () => socket.destroy()
    signal.addEventListener('abort', cut)
    try {
      if (signal.aborted || socket.destroyed) throw new Over(connection.fault())
      socket.ref()
      socket.setTimeout(0)
      const { result, reusable } = await work(connection)
      if (reusable) keep(connection)
      else socket.destroy()
      return result
    } catch (error) {
      socket.destroy()
      if (kept && error instanceof Over && !connection.heard() && !signal.aborted)
        return await use(signal, work, true)
      throw error
    } finally {
      signal.removeEventListener('abort', cut)
    }
  }

  const learn = (signal: AbortSignal): Promise<IcapOptions> =>
    use(signal, async connection => {
      const result = await askOptions(connection, service)
      options = result
      istag = result.istag
      return { result, reusable: true }
    })

  async function ask(content: Sendable, signal: AbortSignal, preview: boolean): Promise<Answer> {
    const known = options && options.expiresAt > Date.now() ? options : await learn(signal)
    const wanted = preview ? known.preview : undefined
    return use(signal, async connection => {
      const question = { service, method: known.method, preview: wanted }
      const result = await askIcap(connection, content, question)
      return { result, reusable: result.reusable }
    })
  }

  return {
    async scan(content, signal) {
      if (content.sizeBytes === 0)
        return { kind: 'failed', failure: 'garbled', cause: 'empty content' }
      try {
        let answer = await ask(content, signal, true)
        // A service that looks at beginnings only must be made to take the whole, or it is no verdict.
        if (answer.declined) answer = await ask(content, signal, false)
        if (answer.istag !== undefined) istag = answer.istag.replaceAll('"', '')
        return signal.aborted ? TOO_SLOW : answer.verdict
      } catch (error) {
        return signal.aborted ? TOO_SLOW : failureOf(error)
      }
    },
    look: signal => learn(signal).catch(() => undefined),
    istag: () => istag,
    maxConnections: () => options?.maxConnections ?? most,
    close() {
      closed = true
      for (const { socket } of idle) socket.destroy()
      idle.clear()
    },
  }
}

const TOO_SLOW: Verdict = {
  kind: 'failed',
  failure: 'slow',
  cause: 'no verdict before the deadline',
}
