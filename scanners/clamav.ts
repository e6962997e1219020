// Asks clamd, through clamscan, whether a message carries a virus; anything but a clear "OK" is not clean.
import { z } from 'zod'

/** `scanners.clamav` in the configuration. */
export const clamavSettings = z.strictObject({
  /** clamd's sockets, `unix:/run/clamav/clamd.ctl` or `tcp:10.0.0.3:3310`; several are a pool with fail-over. */
  addresses: z.array(z.string()).min(1).max(64),
  /** Scans at once per address. */
  concurrency: z.int().min(1).max(1000).default(20),
  /** Milliseconds a scan may take before it counts as `failed` (`slow`). */
  deadlineMs: z.int().min(100).max(600_000).default(25_000),
  /** Milliseconds an address rests after a failure. */
  restMs: z.int().min(0).max(600_000).default(5_000),
})
export type ClamavSettings = z.infer<typeof clamavSettings>
