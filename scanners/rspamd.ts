// Asks rspamd over HTTP (/checkv2) for a spam score, and what it found of SPF and DKIM.
import { z } from 'zod'

/** `scanners.rspamd` in the configuration. */
export const rspamdSettings = z.strictObject({
  /** rspamd's normal worker, `http://127.0.0.1:11333`. */
  url: z.string(),
  /** The worker's password, where it has one. */
  password: z.string().optional(),
  /** Connections to rspamd at once. */
  concurrency: z.int().min(1).max(1000).default(20),
  /** Milliseconds a scan may take before it counts as `failed` (`slow`). */
  deadlineMs: z.int().min(100).max(600_000).default(20_000),
})
export type RspamdSettings = z.infer<typeof rspamdSettings>
