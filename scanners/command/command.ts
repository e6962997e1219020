// Lets a command-line scanner look at a message and at each thing a mail program would open; its exit code decides.
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { z } from 'zod'
import type { Message } from '../../gateway/message.ts'
import { calledOff, deadlineOf } from '../deadline.ts'
import { createEnginePool } from '../engine-pool.ts'
import { graver } from '../leaves.ts'
import { inMemory } from '../mime/octets.ts'
import { rarProbe } from '../rar-probe.ts'
import type { About, Scanner, Verdict } from '../scanner.ts'
import type { Filled } from './folder.ts'
import type { Outcome } from './run.ts'

const meaning = z.enum(['clean', 'infected', 'encrypted', 'down', 'slow', 'limit', 'garbled'])
export type Meaning = z.infer<typeof meaning>

/** One entry of `scanners.command` in the configuration. */
export const commandSettings = z.strictObject({
  program: z
    .string()
    .describe('Absolute path of the scanner; it runs as our user, without a shell.'),
  arguments: z
    .array(z.string().max(1000))
    .min(1)
    .max(100)
    .describe(
      'Its arguments; one of them is, or holds, `{folder}`, where the message and each of its parts ' +
        'lie as files (one run a message), or `{file}` (one run for each of them).',
    ),
  exitCodes: z
    .record(z.string(), meaning)
    .describe(
      'What each exit code means: clean, infected, encrypted, or a failure (down, slow, limit, ' +
        'garbled). A code not listed is garbled.',
    ),
  infectedName: z
    .string()
    .max(1000)
    .optional()
    .describe('Regular expression for a line of its output; group 1 is the name of what it found.'),
  environment: z
    .record(z.string(), z.string().max(1000))
    .default({})
    .describe('Its environment beside PATH, LANG and HOME; ours is not handed on.'),
  versionArguments: z
    .array(z.string().max(1000))
    .max(100)
    .optional()
    .describe('With these it prints its version on the first line; asked every five minutes.'),
  scratch: z
    .string()
    .default('/tmp')
    .describe('Where folders for it are made; up to 256 MiB for each scan at once.'),
  concurrency: z.int().min(1).max(100).default(2).describe('Scans at once per process.'),
  deadlineMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(25_000)
    .describe('Milliseconds a scan may take before it is killed and counts as `failed` (`slow`).'),
})
export type CommandSettings = z.infer<typeof commandSettings>

export const FOLDER = '{folder}'
export const FILE = '{file}'
const NAME_CHARACTERS = 200
/** Octets of a line that `infectedName` is tried on: how long that takes must not be up to a message. */
const LINE_CHARACTERS = 500
const VERSION_DEADLINE_MS = 10_000
const VERSION_EVERY_MS = 300_000
const RAR_EVERY_MS = 300_000

/** Throws where `infectedName` is no regular expression. `name` is its key in the configuration. */
export async function createCommand(name: string, settings: CommandSettings): Promise<Scanner> {
  const { runCommand } = await import('./run.ts')
  const { createFolders } = await import('./folder.ts')
  const folders = await createFolders(settings.scratch)
  const pool = createEnginePool([settings.program], {
    concurrency: settings.concurrency,
    restMs: 0,
  })
  const closing = new AbortController()
  const pattern =
    settings.infectedName === undefined ? undefined : new RegExp(settings.infectedName)

  const run = (args: string[], folder: string, signal: AbortSignal) =>
    runCommand({ ...settings, args, folder, signal })

  async function look({ content }: Message, signal: AbortSignal): Promise<Verdict> {
    await using folder = await folders.fill(content, signal, () => rar.isOpened(signal))
    return await lookInto(folder, signal)
  }

  async function lookInto(folder: Filled, signal: AbortSignal): Promise<Verdict> {
    const isWhole = settings.arguments.some(argument => argument.includes(FOLDER))
    let verdict: Verdict = folder.verdict
    for (const target of isWhole ? [folder.path] : folder.files()) {
      const args = settings.arguments.map(argument =>
        argument.replaceAll(isWhole ? FOLDER : FILE, () => target),
      )
      verdict = graver(verdict, judge(await run(args, folder.home, signal)))
      if (verdict.kind === 'infected' || verdict.kind === 'failed') break
    }
    return verdict
  }

  function judge(outcome: Outcome): Verdict {
    if (outcome.kind !== 'exited')
      return { kind: 'failed', failure: outcome.kind, cause: outcome.cause }
    const { code, output } = outcome
    const means = Object.hasOwn(settings.exitCodes, code) ? settings.exitCodes[code] : undefined
    switch (means) {
      case 'clean':
        return { kind: 'clean' }
      case 'infected':
        return { kind: 'infected', name: nameIn(output, pattern) }
      case 'encrypted':
        return { kind: 'unscannable', reasons: ['encrypted-archive'] }
      default:
        return failed(means ?? 'garbled', `exit code ${code}: ${printable(output)}`)
    }
  }

  /** Not bound to a message's deadline: a slow program has its answer ready when that message comes again. */
  const rar = createSlowAnswer(async () => {
    await using folder = await folders.holding(inMemory(rarProbe()))
    const cut = AbortSignal.any([closing.signal, AbortSignal.timeout(settings.deadlineMs)])
    const { kind } = await lookInto(folder, cut)
    return kind === 'failed' ? undefined : kind !== 'clean'
  })

  let known: { at: number; about: About | undefined } | undefined
  async function version(): Promise<About | undefined> {
    const isThere = await access(settings.program, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (!isThere) pool.mark(settings.program, false)
    if (!settings.versionArguments) return undefined
    if (known && isThere && Date.now() - known.at < VERSION_EVERY_MS) return known.about
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(VERSION_DEADLINE_MS)])
    const told = await run(settings.versionArguments, '/', signal)
    const line = told.kind === 'exited' ? printable(told.output.split('\n')[0] ?? '') : ''
    known = { at: Date.now(), about: line === '' ? undefined : { version: line } }
    return known.about
  }

  return {
    name,
    deadlineMs: settings.deadlineMs,
    sees: 'viruses',
    async scan(message, outer, probe) {
      using deadline = deadlineOf(settings.deadlineMs, outer, closing.signal)
      const probing = probe?.address !== undefined
      const engine = await pool.acquire(deadline.signal, undefined, probing)
      if (!engine) return { verdict: pool.isTrusted() || probing ? NONE_FREE : NOT_TRUSTED }
      const verdict = await look(message, deadline.signal).catch((error: unknown) =>
        failed('garbled', String(error).slice(0, NAME_CHARACTERS)),
      )
      const isDown = verdict.kind === 'failed' && verdict.failure !== 'limit'
      engine.release(calledOff(outer) ? 'unknown' : isDown ? 'failed' : 'answered')
      return { verdict }
    },
    trust: pool.trust,
    version,
    engines: () => pool.states(),
    [Symbol.asyncDispose]: async () => closing.abort(),
  }
}

/** Found out once in a while, however many wait for it. */
function createSlowAnswer(find: () => Promise<boolean | undefined>) {
  let known: { at: number; answer: Promise<boolean | undefined> } | undefined
  return {
    async isOpened(signal: AbortSignal): Promise<boolean | undefined> {
      if (!known || Date.now() - known.at > RAR_EVERY_MS) {
        const answer = find().catch(() => undefined)
        known = { at: Date.now(), answer }
        void answer.then(opens => {
          if (opens === undefined) known = undefined
        })
      }
      return Promise.race([known.answer, aborted(signal)])
    },
  }
}

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise(resolve => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })

function nameIn(output: string, pattern: RegExp | undefined): string {
  for (const line of pattern ? output.split(/\r?\n/) : []) {
    const found = pattern?.exec(line.slice(0, LINE_CHARACTERS))
    if (found) return printable(found[1] ?? found[0]) || 'unnamed'
  }
  return 'unnamed'
}

const printable = (text: string): string =>
  text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, NAME_CHARACTERS)

const failed = (failure: 'down' | 'slow' | 'limit' | 'garbled', cause: string): Verdict => ({
  kind: 'failed',
  failure,
  cause,
})

const NONE_FREE: Verdict = failed('slow', 'no place was free in time')
const NOT_TRUSTED: Verdict = failed('down', 'it has not passed its canary')
