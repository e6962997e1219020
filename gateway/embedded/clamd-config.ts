// What the embedded clamd is told: report limits instead of passing what exceeds them, and bounds on everything.
import { availableParallelism } from 'node:os'
import path from 'node:path'

const MIB = 1024 * 1024
/** Over the message limit, so that it is ours that refuses, with its own reply. */
const SLACK_BYTES = 8 * MIB
/** What may be unpacked from one message, in messages of the largest size. */
const UNPACKED_FACTOR = 4
/** clamd takes no file of 2 GiB or more. */
const LARGEST_BYTES = 2047 * MIB

/** A configuration for clamd 0.103 and later, which runs in the foreground as whoever starts it. */
export function clamdConfig({
  folder,
  socket,
  database,
  maxMessageSizeBytes,
}: {
  folder: string
  socket: string
  database: string
  maxMessageSizeBytes: number
}): string {
  const largest = Math.min(maxMessageSizeBytes + SLACK_BYTES, LARGEST_BYTES)
  const unpacked = Math.min(Math.max(400 * MIB, largest * UNPACKED_FACTOR), LARGEST_BYTES)
  const threads = Math.max(8, availableParallelism() * 2)
  return `# Written by sallyport at each start.
Foreground yes
LogTime yes
LocalSocket ${socket}
LocalSocketMode 600
FixStaleSocket yes
DatabaseDirectory ${database}
TemporaryDirectory ${path.join(folder, 'tmp')}
MaxThreads ${threads}
MaxQueue ${threads * 8}
MaxConnectionQueueLength 200
CommandReadTimeout 30
ReadTimeout 120
IdleTimeout 30
StreamMaxLength ${largest}
MaxFileSize ${largest}
MaxScanSize ${unpacked}
MaxScanTime 120000
MaxRecursion 20
MaxFiles 20000
AlertExceedsMax yes
ScanMail yes
ScanArchive yes
SelfCheck 3600
ConcurrentDatabaseReload yes
ExitOnOOM yes
`
}
