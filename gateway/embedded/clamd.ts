// A clamd of our own for `scanners: clamav: embedded`, with signatures that are kept fresh, or a loud warning.
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Events } from '../observe/events.ts'
import { writeAnew } from '../spool/disk.ts'
import { type Account, accountOf } from './account.ts'
import { ask } from './ask.ts'
import { clamdConfig } from './clamd-config.ts'
import { makeFolder, socketIn } from './folder.ts'
import { runFreshclam } from './freshclam.ts'
import { clearSignatures, type Signatures, settleSignatures, takeFromSystem } from './signatures.ts'
import { createWatchedProgram, type Timing } from './watched-program.ts'

const PING_TIMEOUT_MS = 5000
/** Official signatures appear several times a day; mirrors ask for no more than one look an hour. */
const RENEW_MS = 4 * 3_600_000
/** While there are only our own. */
const RENEW_SOON_MS = 15 * 60_000
/** What clamd says before it gives up on its databases. */
const UNREADABLE =
  /malformed database|broken or not a CVD|not a CVD file|can't (verify|load|parse)/i
const CLAMD_TIMING: Partial<Timing> = {
  // Loading the official signatures takes half a minute, on a busy machine several.
  startTimeoutMs: 300_000,
  // Under load a PING waits its turn among scans.
  looksMissed: 12,
  lookMs: 10_000,
}

export type EmbeddedClamd = { /** `unix:/…/clamd.sock` */ address: string } & AsyncDisposable

export type EmbeddedClamdOptions = {
  /** For this clamd alone. */
  folder: string
  maxMessageSizeBytes: number
  events: Events
  /** Whom clamd and freshclam run as when we are root. */
  user?: string | undefined
  /** Ends its start. */
  stop?: AbortSignal
  binary?: string
  /** `freshclam`, or another program to run instead. */
  freshclam?: string
  mirror?: string
  /** Where the system's own freshclam puts signatures. */
  systemSignatures?: string
  renewMs?: { official: number; test: number }
  timing?: Partial<Timing>
}

/**
 * Resolves when clamd answers PING; on a first start that is after a download of signatures, or a try at it. Rejects
 * where clamd is missing or doesn't start. It is started again whenever it ends, at the same socket.
 */
export async function createEmbeddedClamd(
  options: EmbeddedClamdOptions,
): Promise<EmbeddedClamd & { pid(): number }> {
  const { events, maxMessageSizeBytes } = options
  const folder = path.resolve(options.folder)
  const account = await accountOf(options.user)
  await makeFolder(folder, account)
  await makeFolder(path.join(folder, 'tmp'), account)
  const database = await makeFolder(path.join(folder, 'db'), account)
  const socket = socketIn(folder, 'clamd.sock')
  const config = path.join(folder, 'clamd.conf')
  await writeAnew(config, clamdConfig({ folder, socket, database, maxMessageSizeBytes }))
  const address = `unix:${socket}`
  const say = (command: string, ends: string) =>
    ask(socket, `z${command}\0`, { ends, timeoutMs: PING_TIMEOUT_MS })

  const stopping = new AbortController()
  const renewal = { ...options, folder, database, account, signal: stopping.signal }
  const { stop } = options
  let signatures = await firstSignatures({ ...renewal, signal: stop ?? stopping.signal })
  stop?.throwIfAborted()
  const { binary = 'clamd' } = options
  const watched = await createWatchedProgram(
    {
      ...{ name: 'clamd', command: binary, args: [`--config-file=${config}`], folder, account },
      ...{ packageName: 'clamav-daemon', engine: 'clamav', address },
      ready: async () => (await say('PING', '\0')) === 'PONG\0',
      async mend(output) {
        if (!UNREADABLE.test(output)) return false
        await clearSignatures(await makeFolder(database, account))
        signatures = await settleSignatures(database)
        warnOfTestSet(events, ` The official ones could not be read: ${output}`)
        return true
      },
      timing: { ...CLAMD_TIMING, ...options.timing },
      stop,
    },
    events,
  )

  const renewing = (async () => {
    const { official, test } = options.renewMs ?? { official: RENEW_MS, test: RENEW_SOON_MS }
    for (;;) {
      const waitMs = signatures === 'official' ? official : test
      await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined)
      if (stopping.signal.aborted) return
      signatures = await renew(renewal, signatures)
      await say('RELOAD', '\0')
    }
  })()

  return {
    address,
    pid: watched.pid,
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await renewing
      await watched[Symbol.asyncDispose]()
    },
  }
}

const warnOfTestSet = (events: Events, cause: string) =>
  events.warned({
    name: 'test-signatures',
    text: `ClamAV HAS NO OFFICIAL SIGNATURES and finds nothing but the EICAR test file.${cause}`,
  })

type Renewal = EmbeddedClamdOptions & {
  database: string
  account: Account | undefined
  signal: AbortSignal
}

/** Before the first start: what there is already counts, so that a restart doesn't wait for a mirror. */
async function firstSignatures(renewal: Renewal): Promise<Signatures> {
  await takeFromSystem(renewal.database, renewal.systemSignatures)
  const there = await settleSignatures(renewal.database)
  return there === 'official' ? there : renew(renewal, undefined)
}

async function renew(renewal: Renewal, before: Signatures | undefined): Promise<Signatures> {
  const { events, database, freshclam, systemSignatures, ...run } = renewal
  const { binary: _, ...where } = run
  await takeFromSystem(database, systemSignatures)
  const result = await runFreshclam({
    ...where,
    database,
    ...(freshclam === undefined ? {} : { binary: freshclam }),
  })
  const now = await settleSignatures(database)
  const cause = result.ok ? '' : ` freshclam: ${result.cause}`
  if (now === 'test') {
    warnOfTestSet(events, cause)
  } else if (before === 'test') {
    events.warned({ name: 'test-signatures', text: 'official signatures are here', over: true })
  }
  if (now === 'official') {
    events.warned({
      name: 'signatures-not-renewed',
      text: result.ok ? 'signatures are up to date' : `signatures could not be renewed.${cause}`,
      over: result.ok,
    })
  }
  return now
}
