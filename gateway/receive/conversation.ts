// What the protocol asks of a session and of its listener: the walls between smtp-server and the rest of receive.
import type { Readable } from 'node:stream'
import type { SecureContext } from 'node:tls'
import type { Reply } from '../reply.ts'

/** The connection as a session sees it. */
export type Line = {
  address: string
  port: number
  /** Aborts when the connection is lost or closed. */
  gone: AbortSignal
}

export type DataAnswer = {
  reply: Reply
  /** Close after the reply. */
  hangUp?: boolean
  /** Told once whether the client got the reply. */
  answered?: (heard: boolean) => void
}

/** One client's conversation. None of these rejects. */
export type Session = {
  /** What stands in brackets at the end of replies. */
  id(): string
  connected(): Promise<Reply | undefined>
  secured(tls: { version: string; cipher: string }): void
  /** Asked before each command is obeyed; a reply refuses it. */
  admit(command: string): Reply | undefined
  /** Returns a reply where the name is refused. */
  greeted(name: Buffer): Reply | undefined
  mail(line: Buffer): Promise<Reply>
  recipient(line: Buffer): Promise<Reply>
  data(content: Readable): Promise<DataAnswer>
  /** RSET, EHLO, the end of a transaction. */
  reset(): void
  /** The library refused by itself. */
  refused(command: string, reason: string, reply: Reply): void
  closed(): void
}

/** What a listener asks about its connections. */
export type Gate = {
  believesProxy(address: string): boolean
  /** Counts the connection in; a reply refuses it. */
  enter(address: string): Reply | undefined
  /** `entered`: the address as it was given to `enter`. */
  open(line: Line, entered: string): Session
  /** Whether a client may have one more handshake pending. */
  handshake(address: string, pending: number): boolean
  chooseContext(servername: string): SecureContext | undefined
}
