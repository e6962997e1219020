// Reports the files in a message, also those in archives: what they may be called, claim to be, and are.
import path from 'node:path'
import { z } from 'zod'
import type { Message } from '../../gateway/message.ts'
import { octetsOf } from '../content.ts'
import { deadlineOf } from '../deadline.ts'
import { createBudget, type Ending, LIMITS } from '../mime/limits.ts'
import { createScratch } from '../mime/octets.ts'
import type { Part } from '../mime/part.ts'
import { type Leaf, readLeaves } from '../mime/reader.ts'
import type { Attachment, AttachmentKind, Reason, Scanner, Span, Verdict } from '../scanner.ts'
import { createLookout, type Look, withNames } from './look.ts'
import { namesOf, typesOf } from './names.ts'
import { spansOf } from './spans.ts'

export type AttachmentsSettings = {
  deadlineMs: number
  /** Somebody may want parts cut out: say where that can be done. */
  spans: boolean
}

/** Files reported at most: parts, and files in archives. */
const FOUND = 30_000
/** Parts of which there is nothing to report unless they have a name or are more than they claim. */
const ORDINARY = /^(multipart\/|text\/(plain|html)$)/

export const deadlineSetting = z
  .int()
  .min(100)
  .max(600_000)
  .default(25_000)
  .describe('Milliseconds to read one message in, before that counts as `failed` (`slow`).')

export function createAttachments(settings: AttachmentsSettings): Scanner {
  const closing = new AbortController()
  return {
    name: 'attachments',
    deadlineMs: settings.deadlineMs,
    async scan({ content }: Message, outer) {
      using deadline = deadlineOf(settings.deadlineMs, outer, closing.signal)
      const { signal } = deadline
      using scratch = createScratch(path.dirname(content.path))
      const octets = octetsOf(content, scratch)
      const budget = createBudget(LIMITS, content.sizeBytes, signal)
      const findings = createFindings()
      const look = createLookout({ scratch, budget }, findings.note)
      const known = new Map<string, Look>()
      budget.pause()
      const met = (part: Part): void => findings.part(part)
      const reading = readLeaves(octets, scratch, signal, LIMITS, { met })
      for (;;) {
        const { value, done } = await reading.next()
        if (done) {
          for (const ending of value) findings.note(ending)
          break
        }
        budget.resume()
        const seen = known.get(value.sha256) ?? (await look(value.octets))
        budget.pause()
        known.set(value.sha256, seen)
        findings.leaf(value, seen)
      }
      for (const ending of budget.endings) findings.note(ending)
      if (signal.aborted) findings.note('too-slow')
      const spans = settings.spans && findings.any() ? await spansOf(octets, budget) : undefined
      return { verdict: findings.verdict(spans) }
    },
    engines: () => [],
    [Symbol.asyncDispose]: async () => closing.abort(),
  }
}

type Draft = { names: string[]; types: string[]; kinds: AttachmentKind[]; turned: boolean }

/** Gathers what is met, and makes the verdict of it. */
function createFindings() {
  const parts = new Map<Part, Draft>()
  const others: Attachment[] = []
  const endings = new Set<Ending>()
  const note = (ending: Ending): void => void endings.add(ending)
  const add = (attachment: Attachment): void => {
    if (others.length + parts.size < FOUND) others.push(attachment)
    else note('too-many')
  }
  /** Unpacked or found in a text. A line for a shell means as little there as in an archive. */
  const addNameless = (kinds: AttachmentKind[]): void => {
    if (kinds.length > 0) add({ names: [], types: [], kinds, packed: true })
  }
  return {
    note,
    any: (): boolean => parts.size + others.length > 0,
    part(part: Part): void {
      const types = typesOf(part.fields)
      const { names, turned, tooMany } = namesOf(part.fields)
      if (tooMany) note('ambiguous')
      parts.set(part, { names: namesAs(types, names), types, kinds: [], turned })
    },
    leaf({ part, name }: Leaf, { kinds, inside }: Look): void {
      const draft = part && parts.get(part)
      if (name !== undefined) {
        const { names, turned } = namesOf([], [name])
        add({ names, types: [], kinds: withNames(names, [], kinds, turned), packed: true })
      } else if (draft) draft.kinds.push(...kinds)
      else addNameless(kinds.filter(kind => kind !== 'script'))
      for (const attachment of inside) add(attachment)
    },
    verdict(spans: Map<number, Span> | undefined): Verdict {
      if (endings.has('too-slow'))
        return { kind: 'failed', failure: 'slow', cause: 'the message was not read in time' }
      const found = [...others]
      for (const [part, { names, types, kinds, turned }] of parts) {
        const all = withNames(names, types, kinds, turned)
        const ordinary = types.every(type => ORDINARY.test(type))
        if (names.length + all.length === 0 && ordinary) continue
        const span = spans && spanOf(part, spans)
        found.push({ names, types, kinds: all, packed: false, ...(span ? { span } : {}) })
      }
      const unread = [...endings].filter(isUnread)
      if (found.length + unread.length === 0) return { kind: 'clean' }
      return { kind: 'attachments', found, ...(unread.length === 0 ? {} : { unread }) }
    },
  }
}

/** Encrypted files are kinds of their own here: rules judge them. */
const isUnread = (ending: Ending): ending is Reason =>
  ending !== 'too-slow' &&
  ending !== 'rar' &&
  ending !== 'encrypted-archive' &&
  ending !== 'encrypted-document'

/** A message attached is called by its subject, which may end with a company's `.com`. */
const namesAs = (types: readonly string[], names: string[]): string[] =>
  types.length > 0 && types.every(type => type === 'message/rfc822')
    ? names.map(name => (/\.com$/i.test(name) ? `${name}.eml` : name))
    : names

/** Where all readings of a part end where the letter of the RFC ends it, and it lies in the message itself. */
function spanOf(part: Part, spans: Map<number, Span>): Span | undefined {
  const span = part.outermost === part ? spans.get(part.from) : undefined
  return span && [...part.ends].every(end => end === span.to) ? span : undefined
}
