// Chance that can be had again: one seed, and from it a stream of its own for everybody who draws.
export type Random = {
  /** From 0 up to, not including, 1. */
  next(): number
  /** A whole number, both ends included. */
  between(least: number, most: number): number
  chance(share: number): boolean
  pick<T>(among: readonly T[]): T
}

/** Mulberry32: 32 bits of state, good enough to choose by, and the same everywhere. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    next,
    between,
    chance: share => next() < share,
    pick<T>(among: readonly T[]): T {
      const one = among[between(0, among.length - 1)]
      if (one === undefined) throw new Error('nothing to pick from')
      return one
    },
  }
}

/** The stream of `who` in the run of this seed: what one draws changes nothing for the others. */
export function streamOf(seed: number, who: string): Random {
  let mixed = seed >>> 0
  for (const octet of Buffer.from(who)) mixed = Math.imul(mixed ^ octet, 0x01000193) >>> 0
  return createRandom(mixed)
}
