// How long the relay waits for what: each wait has a deadline of its own that a trickling server can't extend.

export type Timeouts = {
  /** Name lookup and TCP connection. */
  connectMs: number
  /** From the connection to the 220 greeting. */
  greetingMs: number
  /** For each reply before the content, and for EHLO with STARTTLS (RFC 5321 §4.5.3.2.2-4). */
  commandMs: number
  /** For each 128 KiB of content to be taken (RFC 5321 §4.5.3.2.5). */
  chunkMs: number
  /** For all of the content. */
  contentMs: number
  /** For the reply, or all replies of LMTP, after the final dot (RFC 5321 §4.5.3.2.6). */
  finalMs: number
  /** How long an unused connection is kept. */
  idleMs: number
  /** How long a next hop that could not be reached is tried after all others. */
  restMs: number
  /** For the reply to QUIT. */
  quitMs: number
  /** For a free place among the connections to a next hop. */
  waitMs: number
}

export const TIMEOUTS: Timeouts = {
  connectMs: 30_000,
  greetingMs: 60_000,
  commandMs: 120_000,
  chunkMs: 180_000,
  contentMs: 3_600_000,
  finalMs: 600_000,
  idleMs: 10_000,
  restMs: 5_000,
  quitMs: 2_000,
  waitMs: 600_000,
}
