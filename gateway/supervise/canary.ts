// Sends canaries through the scanners: what calls EICAR clean, or anything infected, gets no mail until it knows better.
import { scanAll } from '../../scanners/scan-all.ts'
import type { Probe, Report, Scanner, Verdict } from '../../scanners/scanner.ts'
import type { Message } from '../message.ts'
import type { Events } from '../observe/events.ts'
import { canaryMessage, PROBES, type ProbeName } from './canary-messages.ts'

/** GTUBE scores 1000 or the engine's own threshold; less than this does not stand out. */
const GTUBE_LEAST = 5

export type CanaryOptions = {
  /** Where the messages are written. */
  folder: string
  settings(): { everySeconds: number; gtube: boolean }
  /** The policy that decides on a message with these reports. */
  policyFor(reports: readonly Report[], message: Message): string
  events: Pick<Events, 'canaryAnswered' | 'canaryFailed'>
}

export type Canary = {
  /** Looks at each engine that is due: never proven, failing, changed, or last looked at long ago. Never rejects. */
  look(scanners: readonly Scanner[]): Promise<void>
  /** What an engine says of itself: a change makes it due. */
  isNow(scanner: Scanner, about: string): void
  /** Something is not proven: to be looked at again soon. */
  isRestless(): boolean
  /** Engines that answer, but not as they must. */
  reasons(scanners: readonly Scanner[]): string[]
}

/** `wrong`: it looked and did not see; `silent`: it did not look, which says nothing of what it would see. */
type Outcome = { result: 'passed' | 'wrong' | 'silent'; cause: string }
type Member = { passed?: boolean; at: number; isDue: boolean; isBusy: boolean }

export function createCanary(options: CanaryOptions): Canary {
  const { settings, events } = options
  const members = new WeakMap<Scanner, Map<string, Member>>()
  const abouts = new WeakMap<Scanner, string>()
  const probes = new Map<ProbeName, boolean>()
  let wholeAt = 0
  let isWholeBusy = false
  let isRestless = false
  let unsent = false

  const isOld = (at: number) => Date.now() - at >= settings().everySeconds * 1000

  function membersOf(scanner: Scanner): Map<string, Member> {
    const known = members.get(scanner) ?? new Map<string, Member>()
    members.set(scanner, known)
    for (const { address } of scanner.engines()) {
      if (known.has(address)) continue
      known.set(address, { at: 0, isDue: true, isBusy: false })
      scanner.trust?.(address, false)
    }
    return known
  }

  /** True where what is known of it changed. */
  async function prove(scanner: Scanner, address: string, member: Member): Promise<boolean> {
    const wanted = wantedOf(scanner, settings().gtube)
    const found: Outcome[] = []
    // In turn: a slow engine that takes one at a time must not miss its deadline for waiting behind itself.
    for (const probe of wanted) {
      const message = await canaryMessage(options.folder, probe)
      const [report] = await scanAll([asProbed(scanner, { address })], message)
      found.push(judge(probe, report?.verdict))
    }
    const bad = found.find(each => each.result === 'wrong')
    const silent = found.find(each => each.result === 'silent')
    const before = member.passed
    member.at = Date.now()
    member.isDue = bad !== undefined || silent !== undefined
    if (bad) member.passed = false
    else if (!silent) member.passed = true
    if (bad || !silent) scanner.trust?.(address, !bad)
    const isChanged = member.passed !== before
    if (member.passed !== undefined) {
      const cause = bad?.cause ?? ''
      events.canaryFailed({
        ...{ engine: scanner.name, address, failing: !member.passed, isChanged },
        ...(cause ? { cause } : {}),
      })
    }
    return isChanged
  }

  /** As mail goes: all scanners side by side, whichever address is free, and the policies. */
  async function proveWhole(scanners: readonly Scanner[]): Promise<void> {
    wholeAt = Date.now()
    const wanted = new Set(scanners.flatMap(each => wantedOf(each, settings().gtube)))
    for (const probe of PROBES.filter(each => wanted.has(each))) {
      const message = await canaryMessage(options.folder, probe)
      const probed = scanners.map(each => asProbed(each, {}))
      const reports = await scanAll(probed, message)
      const passed = isAsItMustBe(probe, reports, options.policyFor(reports, message))
      const isChanged = probes.get(probe) !== passed
      probes.set(probe, passed)
      events.canaryAnswered({ probe, passed, isChanged, found: reports.map(shortly) })
    }
  }

  async function lookAt(scanner: Scanner): Promise<boolean> {
    const down = new Set(scanner.engines().flatMap(({ address, up }) => (up ? [] : [address])))
    const changes = await Promise.all(
      [...membersOf(scanner)].map(async ([address, member]) => {
        const isDue = member.isDue || isOld(member.at) || down.has(address)
        if (!isDue || member.isBusy) return false
        member.isBusy = true
        try {
          return await prove(scanner, address, member)
        } finally {
          member.isBusy = false
        }
      }),
    )
    return changes.includes(true)
  }

  async function lookAtAll(scanners: readonly Scanner[]): Promise<void> {
    const changes = await Promise.all(scanners.map(lookAt))
    const isFailing = [...probes.values()].includes(false)
    if (!isWholeBusy && (changes.includes(true) || isFailing || isOld(wholeAt))) {
      isWholeBusy = true
      await proveWhole(scanners).finally(() => {
        isWholeBusy = false
      })
    }
    isRestless = scanners.some(s => [...membersOf(s).values()].some(member => member.isDue))
  }

  /** A disk that takes no canary proves nothing of the engines: what was known of them stays. */
  function tellUnsent(error: unknown): void {
    const cause = error === undefined ? {} : { cause: String(error).slice(0, 120) }
    const failing = error !== undefined
    if (failing !== unsent)
      events.canaryFailed({ engine: 'canary', address: 'disk', failing, isChanged: true, ...cause })
    unsent = failing
    isRestless ||= failing
  }

  return {
    async look(scanners) {
      if (settings().everySeconds > 0) {
        await lookAtAll(scanners).then(() => tellUnsent(undefined), tellUnsent)
        return
      }
      for (const scanner of scanners)
        for (const address of members.get(scanner)?.keys() ?? []) scanner.trust?.(address, true)
    },
    isNow(scanner, about) {
      const before = abouts.get(scanner)
      abouts.set(scanner, about)
      if (before === undefined || before === about) return
      for (const member of members.get(scanner)?.values() ?? []) member.isDue = true
    },
    isRestless: () => isRestless,
    reasons: scanners =>
      scanners
        .filter(scanner => {
          const known = [...(members.get(scanner)?.values() ?? [])]
          return known.length > 0 && known.every(member => member.passed === false)
        })
        .map(scanner => `${scanner.name} fails its canary`),
  }
}

const asProbed = (scanner: Scanner, probe: Probe): Scanner => ({
  ...scanner,
  scan: (message, signal) => scanner.scan(message, signal, probe),
})

function wantedOf({ sees }: Scanner, gtube: boolean): ProbeName[] {
  if (sees === 'viruses') return ['eicar', 'eicar-zip', 'clean']
  return sees === 'spam' && gtube ? ['gtube', 'clean'] : ['clean']
}

function judge(probe: ProbeName, verdict: Verdict | undefined): Outcome {
  if (!verdict || verdict.kind === 'failed') return { result: 'silent', cause: 'no verdict' }
  const isRight = isRightFor(probe, verdict)
  const said = verdict.kind === 'scored' ? `scored ${verdict.score}` : verdict.kind
  return { result: isRight ? 'passed' : 'wrong', cause: `it calls ${probe} ${said}` }
}

/** What may be said of a clean message: a list of what is in it says nothing against it. */
const HARMLESS: Verdict['kind'][] = ['clean', 'scored', 'attachments']

function isRightFor(probe: ProbeName, verdict: Verdict): boolean {
  if (probe === 'clean') return HARMLESS.includes(verdict.kind)
  if (probe === 'gtube') return verdict.kind === 'scored' && verdict.score >= GTUBE_LEAST
  return verdict.kind === 'infected'
}

function isAsItMustBe(probe: ProbeName, reports: readonly Report[], policy: string): boolean {
  if (probe === 'clean') return reports.every(({ verdict }) => isRightFor(probe, verdict))
  if (probe === 'gtube') return reports.some(({ verdict }) => isRightFor(probe, verdict))
  return policy === 'infected'
}

const shortly = ({ scanner, verdict }: Report): string =>
  `${scanner}: ${verdict.kind}${verdict.kind === 'failed' ? ` (${verdict.cause})` : ''}`
