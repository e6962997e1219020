// The battery: ways to write a payload so that some mail program opens it; each takes a virus or a harmless twin.
import { archives, lockedArchives, usualArchives } from './archive-variants.ts'
import { containers } from './container-variants.ts'
import { encodings } from './encoding-variants.ts'
import { hostileLetters } from './hostile-letters.ts'
import { hostilePages } from './hostile-pages.ts'
import { hostileStructures } from './hostile-structures.ts'
import { htmlVariants } from './html-variants.ts'
import { legitimate } from './legitimate-variants.ts'
import { letters } from './letter-variants.ts'
import { structures } from './structure-variants.ts'

export type Variant = {
  name: string
  build(payload: string): Buffer
  /** What people's programs really send: its harmless twin must pass. */
  isLegitimate: boolean
}

/** As long as EICAR, and quite harmless. */
export const HARMLESS = 'This text is exactly as long as the other one, and quite harmless!!!'

type Shapes = Record<string, Variant['build']>
const all = (shapes: Shapes, isLegitimate = false): Variant[] =>
  Object.entries(shapes).map(([name, build]) => ({ name, build, isLegitimate }))

export const variants: Variant[] = [
  ...all(legitimate, true),
  ...all(usualArchives, true),
  ...all(archives),
  ...all(lockedArchives),
  ...all(encodings),
  ...all(letters),
  ...all(structures),
  ...all(containers),
  ...all(htmlVariants),
  ...all(hostileLetters),
  ...all(hostileStructures),
  ...all(hostilePages),
]
