// The outcome log `<id>.log`: what became of each recipient, one JSON line each, appended by the holder of the claim only.
//
// A file of its own has nothing but those. In one that messages share, each line begins with its message's id and a space.
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs'
import type { RelayOutcome } from '../outcome.ts'
import type { Plan } from '../queue/jobs.ts'
import type { Reply } from '../reply.ts'
import { textIfThere } from './disk.ts'

/** How it ended for a recipient. `refused` is an end only while a client waits; in custody a DSN follows it. */
export type End = 'relayed' | 'refused' | 'quarantined' | 'discarded' | 'notified'

export type LogLine =
  /** Every recipient's decision: a later attempt goes straight to the relay. */
  | { kind: 'plan'; at: number; plan: Plan }
  | {
      kind: 'end'
      at: number
      recipient: string
      end: End
      reply?: Reply
      nextHop?: string
      detail?: string
    }
  /** We gave up for now: the next attempt's number and time. */
  | {
      kind: 'deferred'
      at: number
      recipient: string
      attempt: number
      dueAt: number
      reply?: Reply
      nextHop?: string
      detail?: string
    }

export type EndLine = Extract<LogLine, { kind: 'end' }>
export type DeferredLine = Extract<LogLine, { kind: 'deferred' }>

/** The log, read: the last word on each recipient. */
export type LogState = {
  plan?: Plan
  ends: Map<string, EndLine>
  deferred: Map<string, DeferredLine>
  /** Number of the next attempt: 1 where there was none. */
  attempt: number
  /** When it is due, milliseconds since the epoch; 0 where nobody said. */
  dueAt: number
  sizeBytes: number
}

export function readLines(text: string): LogState {
  const state: LogState = {
    ends: new Map(),
    deferred: new Map(),
    attempt: 1,
    dueAt: 0,
    sizeBytes: Buffer.byteLength(text),
  }
  for (const line of text.split('\n')) {
    const entry = parse(line)
    if (entry?.kind === 'plan') state.plan = entry.plan
    else if (entry?.kind === 'end') {
      state.ends.set(entry.recipient, entry)
      state.deferred.delete(entry.recipient)
    } else if (entry?.kind === 'deferred' && !state.ends.has(entry.recipient)) {
      state.deferred.set(entry.recipient, entry)
      state.attempt = Math.max(state.attempt, entry.attempt)
      state.dueAt = entry.dueAt
    }
  }
  return state
}

/** A line cut off by a crash was never acted upon: it is passed over. */
function parse(line: string): LogLine | undefined {
  if (line === '') return undefined
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return undefined
  }
}

/** The state of a log that need not be there. */
export const readLog = (path: string, id: string): LogState =>
  readLines(linesOf(textIfThere(path) ?? '', id))

/** JSON begins with a brace, an id never does. */
const MARK = 'm'

/** Lines as they are in a file that messages share. */
export const markedLines = (id: string, lines: readonly LogLine[]): string =>
  lines.map(line => `${id} ${JSON.stringify(line)}\n`).join('')

/** A message's lines in the text of its log, as they are in a file of its own. */
export function linesOf(text: string, id: string): string {
  if (!text.startsWith(MARK)) return text
  const start = `${id} `
  let own = ''
  for (const line of text.split('\n'))
    if (line.startsWith(start)) own += `${line.slice(start.length)}\n`
  return own
}

/**
 * Appends lines in one write; the caller makes them durable where they must be. Says whether they are the first; undefined
 * where messages share the file, and nothing was written.
 */
export function appendOwn(path: string, lines: readonly LogLine[]): boolean | undefined {
  const file = openSync(path, 'a+', 0o640)
  try {
    const text = lines.map(line => `${JSON.stringify(line)}\n`).join('')
    const { size } = fstatSync(file)
    if (size > 0 && byteAt(file, 0) === MARK) return undefined
    const midLine = size > 0 && byteAt(file, size - 1) !== '\n'
    writeFileSync(file, midLine ? `\n${text}` : text)
    return size === 0
  } finally {
    closeSync(file)
  }
}

function byteAt(file: number, position: number): string {
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, position)
  return byte.toString('latin1')
}

/** What a delivery said of one recipient, as log lines. */
export function relayLine(
  outcome: RelayOutcome & { detail?: string },
  next: { attempt: number; dueAt: number },
  at = Date.now(),
): LogLine {
  const about = {
    at,
    recipient: outcome.recipient,
    reply: outcome.reply,
    nextHop: outcome.nextHop,
    ...(outcome.detail === undefined ? {} : { detail: outcome.detail }),
  }
  return outcome.result === 'deferred'
    ? { kind: 'deferred', ...about, ...next }
    : { kind: 'end', end: outcome.result, ...about }
}
