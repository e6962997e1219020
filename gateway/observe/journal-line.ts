// The form of the journal: one JSON object a line, short enough that processes appending at once never mix.

/** The most octets of a line, its line feed included. */
export const LINE_BYTES = 4096
/** The most characters of one text in it. */
const TEXT_LENGTH = 512

export type JournalEntry = { at: string; event: string; id?: string } & Record<string, unknown>

/** The lines of one entry: several where a list is long (`part` counts them from 1), each complete in itself. */
export function journalLines(entry: JournalEntry): string[] {
  const whole = JSON.stringify(shortened(entry))
  if (fits(whole)) return [`${whole}\n`]
  const lists = Object.entries(entry).filter(
    (field): field is [string, unknown[]] => Array.isArray(field[1]) && field[1].length > 0,
  )
  const longest = lists.sort(([, a], [, b]) => b.length - a.length)[0]
  if (longest === undefined) return [`${JSON.stringify(bare(entry))}\n`]
  const [name, list] = longest
  const lines: string[] = []
  for (let from = 0, count = list.length; from < list.length; from += count) {
    let line: string
    count = Math.min(count, list.length - from)
    for (;;) {
      const part = { ...entry, [name]: list.slice(from, from + count), part: lines.length + 1 }
      line = JSON.stringify(shortened(part))
      if (fits(line) || count === 1) break
      count = Math.ceil(count / 2)
    }
    lines.push(`${fits(line) ? line : JSON.stringify(bare(entry))}\n`)
  }
  return lines
}

/** A character takes three octets at most; most lines are so short that none has to be counted. */
const fits = (line: string) => line.length * 3 < LINE_BYTES || Buffer.byteLength(line) < LINE_BYTES

const isLong = (value: unknown): value is string =>
  typeof value === 'string' && value.length > TEXT_LENGTH

function shortened(entry: Record<string, unknown>): Record<string, unknown> {
  if (!Object.values(entry).some(isLong)) return entry
  return Object.fromEntries(
    Object.entries(entry).map(([name, value]) => [
      name,
      isLong(value) ? `${value.slice(0, TEXT_LENGTH)}…` : value,
    ]),
  )
}

/** What is left of an entry that fits no other way. */
const bare = ({ at, event, id }: JournalEntry) => ({ at, event, id, shortened: true })

/** The entry of one line, or undefined where it is torn or garbled. */
export function parseJournalLine(line: string): JournalEntry | undefined {
  try {
    const entry: unknown = JSON.parse(line)
    if (typeof entry !== 'object' || entry === null) return undefined
    const { at, event } = entry as Record<string, unknown>
    return typeof at === 'string' && typeof event === 'string' ? (entry as JournalEntry) : undefined
  } catch {
    return undefined
  }
}

const FILE = /^(\d{4}-\d\d-\d\d)\.([\w-]+)\.jsonl$/

export const journalFile = (day: string, instance: string) => `${day}.${instance}.jsonl`

/** Day and instance of a journal file's name; undefined for any other file. */
export function journalFileParts(name: string): { day: string; instance: string } | undefined {
  const match = FILE.exec(name)
  return match?.[1] && match[2] ? { day: match[1], instance: match[2] } : undefined
}
