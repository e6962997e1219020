// The limits on clients and content, and the timetable of retries, each with its default.
import { z } from 'zod'
import { duration, size } from './units.ts'

const count = (least: number, most: number, fallback: number) =>
  z.int().min(least).max(most).default(fallback)

export const limits = z.strictObject({
  exempt: z
    .array(z.string())
    .max(1000)
    .default([])
    .describe('Client networks without per-client limits (monitoring, load tests), as CIDR.'),
  connections: count(1, 100_000, 2000).describe(
    'Connections at once, over all listeners of one receive process.',
  ),
  connectionsPerClient: count(1, 100_000, 50).describe(
    'Connections at once from one client address.',
  ),
  held: count(1, 100_000, 300).describe(
    'Messages whose final dot waits for its answer at once, of one receive process.',
  ),
  recipients: count(1, 100_000, 1000).describe(
    'Recipients in one transaction; RFC 5321 §4.5.3.1.8 asks for at least 100.',
  ),
  errors: count(1, 1000, 20).describe('Refused commands in one session before 421.'),
  idle: duration('100ms', '1h')
    .prefault('5m')
    .describe('Idle time before 421; RFC 5321 §4.5.3.2.7 asks for 5 minutes.'),
  data: duration('100ms', '1d').prefault('30m').describe('Time one DATA may take in all.'),
  dataRate: count(0, 1_000_000_000, 100).describe(
    'Octets per second a DATA must keep, measured over each minute; 0 asks for none.',
  ),
  hops: count(1, 1000, 100).describe(
    '`Received` fields before a message counts as looping (RFC 5321 §6.3).',
  ),
  headerSection: size('1KiB', '16MiB')
    .prefault('256KiB')
    .describe('Octets of the whole header section.'),
  headerFields: count(10, 100_000, 1000).describe('Header fields in the header section.'),
  headerFolds: count(10, 100_000, 1000).describe('Lines one folded header field may have.'),
  scanning: size('1MiB', '100GiB')
    .prefault('64MiB')
    .describe(
      'Content scanned at once in one process; a message of 1 MiB or more that does not fit waits for its turn.',
    ),
  spoolFree: size('0', '1000GiB')
    .prefault('100MiB')
    .describe("What the spool's file system must have free for mail to be accepted."),
})

export const retry = z.strictObject({
  first: duration('100ms', '1d')
    .prefault('2m')
    .describe('Wait after the first failed attempt; doubled each time, with jitter.'),
  longest: duration('100ms', '7d').prefault('4h').describe('Longest wait between two attempts.'),
  expire: duration('100ms', '30d')
    .prefault('5d')
    .describe('When we give up and notify the sender; RFC 5321 §4.5.4.1 asks for 4 to 5 days.'),
})
