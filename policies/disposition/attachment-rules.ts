// Holds a file against the attachment rules; the first that fits it says what is to be done about it.
import type { Attachment } from '../../scanners/scanner.ts'
import type { AttachmentAction, AttachmentRule } from '../policy.ts'

export type AskRules = (attachment: Attachment) => AttachmentAction | undefined

/** Undefined where no rule fits. */
export function createRules(rules: readonly AttachmentRule[]): AskRules {
  const compiled = rules.map(compile)
  return attachment => compiled.find(({ fits }) => fits(attachment))?.action
}

type Compiled = { action: AttachmentAction; fits(attachment: Attachment): boolean }

function compile({ names, types, kinds, action }: AttachmentRule): Compiled {
  // Whoever gives a file a second, harmless name must not get it past the rules with that one.
  const letsPass = action === 'relay' || action === 'relayMarked'
  const some = <T>(values: readonly T[], fits: (value: T) => boolean): boolean =>
    letsPass ? values.length > 0 && values.every(fits) : values.some(fits)
  const isName = names && createMatcher(names)
  const isType = types && createMatcher(types)
  return {
    action,
    fits: file =>
      (isName || isType || kinds) !== undefined &&
      (isName === undefined || some(file.names, isName)) &&
      (isType === undefined || some(file.types, isType)) &&
      (kinds === undefined || some(file.kinds, kind => kinds.includes(kind))),
  }
}

/** Patterns that are nothing but an extension are looked up; there are many of them. */
function createMatcher(patterns: readonly string[]): (text: string) => boolean {
  const lower = patterns.map(pattern => pattern.toLowerCase())
  const extensions = new Set(lower.filter(p => /^\*\.[^*?.]+$/.test(p)).map(p => p.slice(1)))
  const others = lower.filter(p => !extensions.has(p.slice(1)) || !p.startsWith('*.'))
  return text => {
    const name = text.toLowerCase()
    const dot = name.lastIndexOf('.')
    return (dot >= 0 && extensions.has(name.slice(dot))) || others.some(p => matches(p, name))
  }
}

/** `*` any letters, `?` one: in time that grows with the product of both lengths, whatever they are. */
export function matches(pattern: string, text: string): boolean {
  let [p, t, star, mark] = [0, 0, -1, 0]
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++
      mark = t
    } else if (pattern[p] === '?' || pattern[p] === text[t]) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++mark
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}
