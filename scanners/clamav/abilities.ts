// Keeps what each clamd of a pool can do and reports, looked at once in a while, and warns of what it can't.

import { rarProbe } from '../rar-probe.ts'
import { replyTo } from './instream.ts'
import { reportsLimits } from './limits.ts'

/** How often a clamd is asked: it may be set up anew. */
const LOOK_MS = 300_000

type Question = (address: string, signal: AbortSignal) => Promise<boolean | undefined>

/** What an address answered last; asked again after a while, and believed where it does not answer then. */
function createAnswers(ask: Question) {
  const known = new Map<string, { at: number; yes: boolean }>()
  return {
    async of(address: string, signal: AbortSignal): Promise<boolean | undefined> {
      const before = known.get(address)
      if (before && Date.now() - before.at < LOOK_MS) return before.yes
      const yes = await ask(address, signal)
      if (yes !== undefined) known.set(address, { at: Date.now(), yes })
      return yes ?? before?.yes
    },
    last: (address: string) => known.get(address)?.yes,
    denials: (): string =>
      [...known].flatMap(([address, { yes }]) => (yes ? [] : address)).join(', '),
  }
}

export type Abilities = {
  look(address: string, signal: AbortSignal): Promise<void>
  /**
   * Whether every clamd that answers opens RAR. Undefined where one that was `asked` about a message does not say:
   * nobody knows then what its verdict means.
   */
  openRar(asked: ReadonlySet<string>, signal: AbortSignal): Promise<boolean | undefined>
  /**
   * What others' clamds must have in common with these for their verdicts to mean the same. Undefined where that is
   * not known yet, or one hides its limits: nothing is to be shared then.
   */
  inCommon(): string | undefined
  warning(): string | undefined
}

export function createAbilities(addresses: readonly string[]): Abilities {
  const limits = createAnswers(reportsLimits)
  const rar = createAnswers(opensRar)
  return {
    async look(address, signal) {
      await Promise.all([limits.of(address, signal), rar.of(address, signal)])
    },
    async openRar(asked, signal) {
      const answers = await Promise.all(
        addresses.map(async address => ({
          opens: await rar.of(address, signal),
          isNeeded: asked.has(address),
        })),
      )
      if (answers.some(({ opens }) => opens === false)) return false
      return answers.some(({ opens, isNeeded }) => isNeeded && opens === undefined)
        ? undefined
        : true
    },
    inCommon() {
      const known = addresses.every(
        address => limits.last(address) && rar.last(address) !== undefined,
      )
      return known ? `RAR: ${rar.denials() === ''}` : undefined
    },
    warning() {
      const [silent, unable] = [limits.denials(), rar.denials()]
      const warnings = [
        silent &&
          `clamd at ${silent} CALLS CLEAN WHAT EXCEEDS ITS LIMITS: set \`AlertExceedsMax yes\` in clamd.conf`,
        unable &&
          `clamd at ${unable} CANNOT OPEN RAR: install libclamunrar; until then mail with a RAR archive is ` +
            'treated as `unscannable: unsupported-archive` says (by default quarantined)',
      ].filter(Boolean)
      return warnings.length > 0 ? warnings.join('; ') : undefined
    },
  }
}

/** Undefined where it does not say before `signal` aborts. One that does not know EICAR counts as not opening it. */
async function opensRar(address: string, signal: AbortSignal): Promise<boolean | undefined> {
  const reply = await replyTo(address, rarProbe(), signal)
  if (reply === 'stream: OK\0') return false
  return reply?.endsWith(' FOUND\0') ? true : undefined
}
