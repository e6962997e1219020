// Sizes and durations as people write them in YAML, turned into numbers of octets and milliseconds.
import { z } from 'zod'

const SIZE = /^(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB)?$/i
const SIZE_FACTOR: Record<string, number> = {
  b: 1,
  kb: 1e3,
  kib: 1024,
  mb: 1e6,
  mib: 1024 ** 2,
  gb: 1e9,
  gib: 1024 ** 3,
}

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/
const DURATION_FACTOR: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Octets of `50MiB`, `64KiB`, `1GB` or a bare number; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text.trim())
  const factor = SIZE_FACTOR[(match?.[2] ?? 'B').toLowerCase()]
  return match && factor !== undefined ? Math.floor(Number(match[1]) * factor) : undefined
}

/** Milliseconds of `500ms`, `30s`, `10m`, `4h`, `5d` or a bare number of seconds; undefined otherwise. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text.trim())
  const factor = DURATION_FACTOR[match?.[2] ?? 's']
  return match && factor !== undefined ? Math.round(Number(match[1]) * factor) : undefined
}

/** A setting in octets, written as a number or `50MiB`, between two such sizes. */
export const size = (least: string, most: string) =>
  between(parseSize, least, most, 'a size', 'octets, or 64KiB, 50MiB, 1GiB')

/** A setting in milliseconds, written in seconds or as `30s`, `10m`, between two such durations. */
export const duration = (least: string, most: string) =>
  between(parseDuration, least, most, 'a duration', 'seconds, or 500ms, 30s, 10m, 4h, 5d')

function between(
  parse: (text: string) => number | undefined,
  least: string,
  most: string,
  what: string,
  form: string,
) {
  const [lowest, highest] = [parse(least), parse(most)]
  if (lowest === undefined || highest === undefined) throw new Error(`${least}, ${most}`)
  return z.union([z.number(), z.string()]).transform((value, context): number => {
    const parsed = parse(String(value))
    if (parsed !== undefined && parsed >= lowest && parsed <= highest) return parsed
    const [message, mend] =
      parsed === undefined
        ? [`is not ${what}`, `write ${form}`]
        : [`is out of range`, `write ${what} from ${least} to ${most}`]
    context.addIssue({ code: 'custom', message, params: { mend } })
    return z.NEVER
  })
}
