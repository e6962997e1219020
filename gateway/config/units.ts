// Sizes, durations and names as people write them in YAML, turned into numbers with a unit in their name.
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

/** Octets, written as a number or `50MiB`, `64KiB`, `1GB`. */
export const size = z.union([z.number(), z.string()]).transform((value, context): number => {
  const match = SIZE.exec(String(value).trim())
  const factor = SIZE_FACTOR[(match?.[2] ?? 'B').toLowerCase()]
  if (!match || factor === undefined) {
    context.addIssue({ code: 'custom', message: 'not a size: write octets, or 64KiB, 50MiB, 1GiB' })
    return z.NEVER
  }
  return Math.floor(Number(match[1]) * factor)
})

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/
const DURATION_FACTOR: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Milliseconds, written as a number of seconds or `500ms`, `30s`, `10m`, `4h`, `5d`. */
export const duration = z.union([z.number(), z.string()]).transform((value, context): number => {
  const match = DURATION.exec(String(value).trim())
  const factor = DURATION_FACTOR[match?.[2] ?? 's']
  if (!match || factor === undefined) {
    context.addIssue({
      code: 'custom',
      message: 'not a duration: write seconds, or 500ms, 30s, 10m, 4h, 5d',
    })
    return z.NEVER
  }
  return Math.round(Number(match[1]) * factor)
})
