// The attachment rules: each says what it fits, in a way that something can fit, and somebody is asked for it.
import type { Path } from '../faults.ts'
import { isRecord, valueAt } from '../parse.ts'
import type { Check } from './check.ts'

type Rule = { names?: string[] | undefined; types?: string[] | undefined }

export const checkAttachments: Check = (settings, { findings, shown, value }) => {
  const checkName = (name: string, path: Path) => {
    if (/[/\\]/.test(name))
      findings.fault(path, `${shown(path)} has a folder in it`, 'write the name alone')
    else if (!/[*?.]/.test(name))
      findings.fault(path, `only a file called ${shown(path)} fits`, `write \`*.${name}\``)
  }
  const rules = (list: readonly Rule[] | undefined, path: Path) => {
    for (const [i, rule] of list?.entries() ?? []) {
      const at = [...path, i]
      // As it is written: what was wrong in it is told already.
      const written = valueAt(value, at)
      if (isRecord(written) && !('names' in written || 'types' in written || 'kinds' in written))
        findings.fault(at, 'this rule fits no file', 'add `names`, `types` or `kinds` to it')
      for (const [n, name] of rule.names?.entries() ?? []) checkName(name, [...at, 'names', n])
      for (const [n, type] of rule.types?.entries() ?? []) {
        if (/^[^/\s]+\/[^/\s]+$|^\*$/.test(type)) continue
        const here = [...at, 'types', n]
        findings.fault(here, `${shown(here)} is not a type`, 'write `application/pdf` or `image/*`')
      }
    }
  }
  rules(settings.attachments?.rules, ['attachments', 'rules'])
  for (const [domain, { attachments }] of Object.entries(settings.domains ?? {})) {
    if (attachments === undefined) continue
    const path = ['domains', domain, 'attachments']
    if (value.attachments === undefined) {
      const mend = 'add `attachments: {}` to the file, or `{ standard: false }` to look only here'
      findings.faultAtKey(path, 'nobody looks at attachments', mend)
    }
    rules(attachments.rules, [...path, 'rules'])
  }
}
