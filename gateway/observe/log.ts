// The log: JSON lines on standard output. Event names, ids and causes; never content, never secrets.
import pino from 'pino'

/** Kept while standard output does not drain; beyond it lines are dropped, and counted in a line when it drains. */
const BUFFER_BYTES = 16 * 1024 * 1024

export type Level = 'debug' | 'info' | 'warn' | 'error'

export type Log = {
  write(level: Level, event: string, detail: Record<string, unknown>): void
  /** Writes out what is buffered, now. Also done when the process exits. */
  flush(): void
} & Disposable

/**
 * `base` is in every line (hostname, role, pid, instance). Lines leave asynchronously and none is lost at exit;
 * a signal that is not handled ends the process without one, so whoever handles it disposes of the log.
 */
export function createLog({
  level,
  base,
  descriptor = 1,
}: {
  level: Level
  base: Record<string, unknown>
  descriptor?: number
}): Log {
  const destination = pino.destination({
    dest: descriptor,
    sync: false,
    minLength: 0,
    maxLength: BUFFER_BYTES,
  })
  let dropped = 0
  destination.on('drop', () => {
    dropped++
  })
  // Standard output closed by its reader: there is nowhere left to say it, and mail goes on.
  destination.on('error', () => undefined)
  const logger = pino(
    {
      level,
      base,
      messageKey: 'event',
      timestamp: () => `,"at":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
    },
    destination,
  )
  destination.on('drain', () => {
    if (dropped === 0) return
    const lines = dropped
    dropped = 0
    logger.warn({ lines }, 'logLinesDropped')
  })
  const flush = () => {
    try {
      destination.flushSync()
    } catch {
      // Not open yet, or the reader is gone.
    }
  }
  return {
    write: (at, event, detail) => logger[at](detail, event),
    flush,
    [Symbol.dispose]: flush,
  }
}
