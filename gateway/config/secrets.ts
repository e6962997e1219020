// Puts secrets that lie in files of their own into the settings that want them.
import { stat } from 'node:fs/promises'
import type { Check } from './checks/check.ts'
import { readNamedFile } from './checks/files.ts'
import { isRecord } from './parse.ts'

/** The settings that may name a file instead, found by the end of their key. */
const FILE_KEY = /^(.*[pP]assword)File$/

/** Sets `bindPassword` from `bindPasswordFile` and the like, anywhere in the settings, in place. */
export const readSecrets: Check = async (settings, context) => {
  const visit = async (value: unknown, path: (string | number)[]): Promise<void> => {
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) await visit(item, [...path, i])
    }
    if (!isRecord(value)) return
    for (const [key, item] of Object.entries(value)) {
      const name = FILE_KEY.exec(key)?.[1]
      const at = [...path, key]
      if (name === undefined || typeof item !== 'string') await visit(item, at)
      else if (value[name] !== undefined) {
        const mend = 'keep the file, remove the other'
        context.findings.faultAtKey(at, `\`${name}\` and \`${key}\` exclude each other`, mend)
      } else value[name] = await readSecret(item, at, context)
    }
  }
  await visit(settings, [])
}

async function readSecret(
  file: string,
  path: (string | number)[],
  context: Parameters<Check>[1],
): Promise<string | undefined> {
  const octets = await readNamedFile(file, path, context)
  if (octets === undefined) return undefined
  const secret = octets.toString('utf8').replace(/\r?\n$/, '')
  if (secret === '') {
    context.findings.fault(path, `\`${file}\` is empty`, 'put the secret on its first line')
  }
  const mode = (await stat(file).catch(() => undefined))?.mode ?? 0
  if (mode & 0o004) {
    context.findings.warn(path, `\`${file}\` can be read by everybody`, `chmod o-r ${file}`)
  }
  return secret
}
