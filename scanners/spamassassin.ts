// Asks SpamAssassin's spamd for a spam score, over its own protocol.
import { z } from 'zod'

/** `scanners.spamassassin` in the configuration. */
export const spamassassinSettings = z.strictObject({
  /** spamd's socket, `tcp:127.0.0.1:783` or `unix:/run/spamd.sock`. */
  address: z.string(),
  /** Content above this many octets is not sent to spamd and counts as score 0 (spamd's own clients stop at 500 KB). */
  maxSizeBytes: z.int().min(1024).max(1_000_000_000).default(512_000),
  concurrency: z.int().min(1).max(1000).default(5),
  /** Milliseconds a scan may take before it counts as `failed` (`slow`). */
  deadlineMs: z.int().min(100).max(600_000).default(25_000),
})
export type SpamassassinSettings = z.infer<typeof spamassassinSettings>
