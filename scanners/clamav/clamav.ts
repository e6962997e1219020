// Asks clamd, through clamscan, whether a message carries a virus; anything but a clear "OK" is not clean.
import { z } from 'zod'
import type { Message } from '../../gateway/message.ts'
import { askInTurn, type Turn } from '../ask-in-turn.ts'
import type { Sendable } from '../content.ts'
import { calledOff, deadlineOf } from '../deadline.ts'
import { createEnginePool } from '../engine-pool.ts'
import { scanLeaves } from '../leaves.ts'
import { REMEMBERS_NOTHING } from '../remembers-nothing.ts'
import type { About, Probe, Scanner, Verdict } from '../scanner.ts'
import type { SharedMemory } from '../verdict-cache.ts'
import { createAbilities } from './abilities.ts'
import type { Clamd, ClamdScan, ClamdVersion } from './clamd.ts'

/** `scanners.clamav` in the configuration. */
export const clamavSettings = z.strictObject({
  addresses: z
    .array(z.string())
    .min(1)
    .max(64)
    .describe(
      "clamd's sockets, `unix:/run/clamav/clamd.ctl` or `tcp:10.0.0.3:3310`; several are a pool.",
    ),
  concurrency: z
    .int()
    .min(1)
    .max(1000)
    .default(10)
    .describe("Scans at once per address and process; a little below clamd's MaxThreads is best."),
  deadlineMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(25_000)
    .describe('Milliseconds a scan may take before it counts as `failed` (`slow`).'),
  heuristics: z
    .record(z.string(), z.number().min(-1000).max(1000))
    .default({})
    .describe(
      'Names such as `Heuristics.Phishing.*` that score instead of refuse, with what they add to the ' +
        'spam score; `*` at the end stands for any rest. Needs `HeuristicScanPrecedence no`.',
    ),
  restMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(5_000)
    .describe('Milliseconds an address rests after a failure.'),
  wholeMessage: z
    .boolean()
    .default(false)
    .describe(
      'Also sends large attachments as they stand in the message, at twice the cost: for signatures that ask for `Container:CL_TYPE_MAIL`.',
    ),
})
export type ClamavSettings = z.infer<typeof clamavSettings>

const VERSION_DEADLINE_MS = 5_000

/** Throws where an address can't be understood. */
export async function createClamav(
  settings: ClamavSettings,
  others?: SharedMemory,
): Promise<Scanner> {
  const { createClamd } = await import('./clamd.ts')
  const { createHeuristics } = await import('./heuristics.ts')
  const heuristics = createHeuristics(settings.heuristics)
  const { createVerdictCache } = await import('../verdict-cache.ts')
  const clamds = new Map<string, Clamd>()
  for (const address of settings.addresses) clamds.set(address, await createClamd(address))
  const pool = createEnginePool(settings.addresses, settings)
  const abilities = createAbilities(settings.addresses)
  const cache = createVerdictCache('clamav', others)
  const closing = new AbortController()
  /** Conversations cut off midway one after the other: once can be this message's fault, twice is the engine's. */
  const interruptions = new Map<string, number>()

  /** One try at one address. */
  async function attempt(
    content: Sendable,
    { engine, cut, others, again }: Turn,
    outer: AbortSignal,
    asked: Set<string>,
  ): Promise<Verdict> {
    const { address } = engine
    const clamd = clamds.get(address) as Clamd
    const scan = await clamd.scan(content, cut).catch(asGarbled)
    const times = scan.interrupted ? (interruptions.get(address) ?? 0) + 1 : 0
    interruptions.set(address, times)
    if (scan.interrupted && !others) again()
    const result = times === 1 ? 'unknown' : blames(scan) ? 'failed' : 'answered'
    engine.release(calledOff(outer) ? 'unknown' : result)
    const verdict = await heuristics.judge(scan.verdict, address, cut)
    if (verdict.kind !== 'failed') asked.add(address)
    return verdict
  }

  /** Whatever a mail program would find in the message, and then the message itself, all before one deadline. */
  async function judge({ content }: Message, outer: AbortSignal, probe?: Probe): Promise<Verdict> {
    using deadline = deadlineOf(settings.deadlineMs, outer, closing.signal)
    const memory = probe ? REMEMBERS_NOTHING : cache
    const asked = new Set<string>()
    const turns = { pool, addresses: settings.addresses, deadline, probe, causes: CAUSES }
    const askLeaf = (leaf: Sendable) => askInTurn(turns, turn => attempt(leaf, turn, outer, asked))
    return await scanLeaves(content, askLeaf, memory, deadline.signal, {
      withMessage: settings.wholeMessage ? 'whole' : 'skeleton',
      opensRar: () => abilities.openRar(asked, deadline.signal),
    }).catch(error => asGarbled(error).verdict)
  }

  async function version(): Promise<About | undefined> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(VERSION_DEADLINE_MS)])
    const versions = await Promise.all(
      [...clamds].map(async ([address, clamd]) => {
        const found = await clamd.version(signal)
        if (!closing.signal.aborted) pool.mark(address, found !== undefined)
        if (found) await abilities.look(address, signal)
        return found
      }),
    )
    const each = versions.map(found => found && `${found.version}/${found.signatures}`)
    const able = abilities.inCommon()
    // One that is away may come back with older signatures; one that hides its limits has not looked at all of it.
    const isShared = pool.states().every(({ up }) => up) && able !== undefined
    const inCommon = isShared ? `${[...new Set(each)].toSorted().join()} ${able}` : undefined
    cache.versionIs(JSON.stringify([each, able]), inCommon)
    const about = oldest(versions.filter(found => found !== undefined))
    const warning = abilities.warning()
    return about && { ...about, ...(warning === undefined ? {} : { warning }) }
  }

  return {
    name: 'clamav',
    deadlineMs: settings.deadlineMs,
    sees: 'viruses',
    scan: async (message, signal, probe) => ({ verdict: await judge(message, signal, probe) }),
    trust(address, passed) {
      if (!passed) cache.distrust()
      pool.trust(address, passed)
    },
    version,
    engines: () => pool.states(),
    [Symbol.asyncDispose]: async () => closing.abort(),
  }
}

const CAUSES = {
  free: 'no clamd was free in time',
  trusted: 'no clamd has passed its canary',
}

/** Whether the address should rest; a limit exceeded says nothing against it. */
const blames = ({ verdict }: ClamdScan): boolean =>
  verdict.kind === 'failed' && verdict.failure !== 'limit'

const asGarbled = (error: unknown): ClamdScan => ({
  verdict: { kind: 'failed', failure: 'garbled', cause: String(error).slice(0, 120) },
  interrupted: false,
})

/** The pool is as good as its oldest signatures. */
function oldest(versions: ClamdVersion[]): ClamdVersion | undefined {
  const age = (v: ClamdVersion) => v.signatureAgeSeconds ?? -1
  return versions.toSorted((a, b) => age(b) - age(a))[0]
}
