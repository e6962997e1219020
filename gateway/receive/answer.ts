// What the session asks of the rest of the house: somewhere to put content, and an answer to the final dot.
import type { FileHandle } from 'node:fs/promises'
import type { Message } from '../message.ts'
import type { Reply } from '../reply.ts'

/** The answer to the final dot, and what must be told of its fate. Exactly one of the two is called, once. */
export type Answer = {
  reply: Reply
  /** The reply was written, and the client has spoken again or closed in order: it knows. */
  heard(): Promise<void>
  /** The connection broke, or ended in disorder, before that: the client may come again. */
  unheard(): Promise<void>
}

/**
 * Carries a received message through the journey while the client waits. Never rejects.
 * `gone` aborts when the client's connection is lost.
 */
export type HoldDot = (message: Message, gone: AbortSignal) => Promise<Answer>

/** The part of the spool that a session sees. */
export type IncomingStore = {
  /** A fresh message id. */
  newId(): string
  /** Creates `incoming/<id>.eml` for writing; fails if it exists. The caller closes the handle. */
  openContent(id: string): Promise<FileHandle>
  contentPath(id: string): string
  /** Removes what a transaction that came to nothing left. */
  removeContent(id: string): Promise<void>
}
