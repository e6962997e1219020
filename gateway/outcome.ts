// What became of one recipient in one attempt: shared by relay, outcome log and session. A leaf.
import type { Reply } from './reply.ts'

/**
 * - `relayed`: the next hop said 2xx after the final dot (LMTP: for this recipient).
 * - `refused`: the next hop said 5xx, or it cannot carry what the message needs (554 5.6.3, 553 5.6.7).
 * - `deferred`: 4xx, no connection, or nothing certain: try again.
 * - `uncertain` marks a deferral after the final dot was sent and no reply came (RFC 1047): a second copy is possible.
 */
export type RelayOutcome = {
  recipient: string
  result: 'relayed' | 'refused' | 'deferred'
  /** The next hop's own reply, or ours where it never got that far. */
  reply: Reply
  /** `host:port` of the next hop that answered. */
  nextHop: string
  uncertain?: boolean
  /** What the next hop said, or what went wrong, in its own words: for log and DSN, never for the client. One line. */
  detail?: string
}
