// What a held message comes to: what its client is told, and how long it is remembered. The types of the held dot.
import type { Config } from '../config/schema.ts'
import type { Envelope } from '../message.ts'
import type { Events } from '../observe/events.ts'
import type { Hints } from '../queue/hints.ts'
import type { Hint } from '../queue/jobs.ts'
import type { WorkQueue } from '../queue/queue.ts'
import { type Reply, reply } from '../reply.ts'
import type { Spool } from '../spool/spool.ts'
import type { Bell } from './bell.ts'
import type { OnEnd } from './endings.ts'

export const DELIVERED = reply(250, '2.0.0', 'Delivered')
export const KEPT = reply(250, '2.0.0', 'Accepted for delivery')
export const NOT_NOW = reply(451, '4.3.0', 'Cannot process this message now, try again later')

export type HoldOptions = {
  config: () => Config
  spool: Spool
  queue: WorkQueue
  hints: Hints
  events: Events
  /** Aborts when the gateway stops: what is in flight then comes into custody at once. */
  stopping: AbortSignal
}

/** What all messages of a process are held with. */
export type Holding = HoldOptions & { onEnd: OnEnd }

/** What is to be said, and how long the message is to be remembered for its client's retry. */
export type Conclusion = {
  reply: Reply
  /**
   * - `forget`: nothing of it is left, or nothing was done.
   * - `until-heard`: only if the client was lost before it knew.
   * - `remember`: somebody may still be acting on it, whatever we say.
   */
  memory: 'forget' | 'until-heard' | 'remember'
  heard?(): Promise<void>
  unheard?(): Promise<void>
}

export const forgotten = (said: Reply): Conclusion => ({ reply: said, memory: 'forget' })

/** One message under way, as its session sees it. */
export type Carried = {
  options: HoldOptions
  envelope: Envelope
  /** An earlier try settled the client's other recipients: saying 5xx would be a lie to them. */
  partly: boolean
  gone: AbortSignal
  bell: Bell
  hint: Hint | undefined
  /** By the clock that is never set. */
  startedAt: number
}
