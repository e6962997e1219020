// Talks to one clamd through clamscan, with sockets of our own that a deadline can cut.
//
// clamscan 2.4.0 writes without regard to back-pressure, prints socket errors, never settles when clamd hangs,
// and reads "no reply" as "unknown". So each scan lends it a socket that keeps faults to itself and a source that
// waits for that socket; and its result counts only together with the octets clamd really sent.
import { Readable } from 'node:stream'
import NodeClam from 'clamscan'
import { CutShort, type Pieces, piecesFor, type Sendable } from '../content.ts'
import { type EngineSocket, openEngine, parseEngineAddress } from '../engine-socket.ts'
import type { Verdict } from '../scanner.ts'
import { type ClamscanResult, judgeReply } from './reply.ts'

export type ClamdVersion = { version: string; signatures?: string; signatureAgeSeconds?: number }

export type ClamdScan = {
  verdict: Verdict
  /** The connection broke while content was being sent: clamd may be well, and only this conversation not. */
  interrupted: boolean
}

export type Clamd = {
  /** Never rejects. When `signal` aborts, the connection is cut and the verdict is `failed` (`slow`). */
  scan(content: Sendable, signal: AbortSignal): Promise<ClamdScan>
  /** Undefined where clamd does not answer before `signal` aborts. */
  version(signal: AbortSignal): Promise<ClamdVersion | undefined>
}

/** Throws where the address can't be understood. */
export async function createClamd(address: string): Promise<Clamd> {
  parseEngineAddress(address)
  const base = await new NodeClam().init({
    clamscan: { active: false },
    // The socket's name is never used: `lend` answers for it. It only tells clamscan to start no programs.
    clamdscan: { socket: address, path: '', localFallback: false, bypassTest: true },
    preference: 'clamdscan',
  })
  const lend = (socket: EngineSocket): NodeClam =>
    Object.create(base, { _initSocket: { value: () => Promise.resolve(socket) } })

  return {
    async scan(content, signal) {
      if (content.sizeBytes === 0)
        return { verdict: failed('garbled', 'empty content'), interrupted: false }
      const socket = await openEngine(address, signal)
      let source: Readable | undefined
      try {
        if (socket.destroyed)
          return { verdict: signal.aborted ? tooSlow() : lost(socket), interrupted: false }
        source = streamOf(piecesFor(content, socket))
        const told = await conversation(lend(socket), socket, source)
        if (signal.aborted) return { verdict: tooSlow(), interrupted: false }
        if (told.unreadable !== undefined)
          return { verdict: failed('garbled', told.unreadable), interrupted: false }
        const verdict = judgeReply(told.result, endOf(socket))
        return { verdict, interrupted: socket.reply === '' && !source.readableEnded }
      } finally {
        socket.destroy()
        source?.destroy()
      }
    },
    async version(signal) {
      const socket = await openEngine(address, signal)
      try {
        if (socket.destroyed) return undefined
        const reply = await Promise.race([lend(socket).getVersion(), socket.ended])
        return parseVersion(reply ?? '')
      } catch {
        return undefined
      } finally {
        socket.destroy()
      }
    },
  }
}

/** One piece at a time; a stream made from a generator costs five times as much. */
const streamOf = (pieces: Pieces): Readable =>
  new Readable({
    highWaterMark: 1,
    read() {
      pieces.next().then(
        piece => this.push(piece ?? null),
        error => this.destroy(error),
      )
    },
    destroy(error, done) {
      pieces[Symbol.asyncDispose]().then(
        () => done(error),
        () => done(error),
      )
    },
  })

type Told = { result?: ClamscanResult; unreadable?: string }

/** Settles with clamscan's result, or when the connection is over, or when the content can't be read. */
async function conversation(clam: NodeClam, socket: EngineSocket, source: Readable): Promise<Told> {
  const unreadable = new Promise<Told>(resolve => {
    source.once('error', error =>
      resolve(
        error instanceof CutShort ? {} : { unreadable: `cannot read content: ${error.message}` },
      ),
    )
  })
  const scanned = clam.scanStream(source).then(
    result => ({ result: result as ClamscanResult }),
    () => ({}),
  )
  return Promise.race<Told>([unreadable, scanned, socket.ended.then(() => ({}))])
}

const failed = (failure: 'slow' | 'down' | 'garbled', cause: string): Verdict => ({
  kind: 'failed',
  failure,
  cause,
})
const tooSlow = (): Verdict => failed('slow', 'no verdict before the deadline')
const lost = (socket: EngineSocket): Verdict =>
  failed('down', socket.fault?.code ?? socket.fault?.message ?? 'cannot connect')

function endOf(socket: EngineSocket): { reply: string; fault?: NodeJS.ErrnoException } {
  const { reply, fault } = socket
  return fault ? { reply, fault } : { reply }
}

/** `ClamAV 1.4.6/27450/Mon Nov 23 09:26:04 2026`; without official signatures only the first part. */
export function parseVersion(reply: string, now = Date.now()): ClamdVersion | undefined {
  const match = /^(ClamAV [\x21-\x7e]{1,60}?)(?:\/(\d+)\/([A-Za-z0-9: ]{10,40}))?[\0\r\n]*$/.exec(
    reply,
  )
  if (match?.[1] === undefined) return undefined
  const [, version, signatures, date] = match
  if (signatures === undefined || date === undefined) return { version }
  const madeAt = Date.parse(`${date} UTC`)
  if (Number.isNaN(madeAt)) return { version, signatures }
  return {
    version,
    signatures,
    signatureAgeSeconds: Math.max(0, Math.round((now - madeAt) / 1000)),
  }
}
