// What the session asks of the rest of the house: somewhere to put content, and an answer to the final dot.
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

export type { IncomingStore } from '../spool/spool.ts'
