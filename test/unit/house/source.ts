// The repository's own files and their imports, as the house tests look at them.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'

export const root = path.join(import.meta.dirname, '../../..')

/** Every file git knows or would add, by its path from the root. */
export function repositoryFiles(): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate']
  const git = spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  if (git.status !== 0) throw new Error(`git: ${git.stderr}`)
  const deleted = spawnSync('git', ['ls-files', '--deleted'], { cwd: root, encoding: 'utf8' })
  const gone = new Set(deleted.stdout.split('\n'))
  return git.stdout.split('\n').filter(file => file !== '' && !gone.has(file))
}

export const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')

export const isTypeScript = (file: string): boolean => file.endsWith('.ts')

/** Code that runs in production. */
export const isSource = (file: string): boolean =>
  isTypeScript(file) && /^(gateway|scanners|policies)\//.test(file)

export type Import = {
  /** A file of ours by its path from the root, or a package's name. */
  target: string
  isOurs: boolean
  /** Erased before it runs. */
  isType: boolean
  /** Loaded when it is needed, not with the file. */
  isDynamic: boolean
}

const STATIC = /^(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm
const DYNAMIC = /\bimport\('([^']+)'\)/g

export function importsOf(file: string, text = read(file)): Import[] {
  const found: Import[] = []
  const add = (specifier: string, isType: boolean, isDynamic: boolean) => {
    const isOurs = specifier.startsWith('.')
    const target = isOurs
      ? path.join(path.dirname(file), specifier)
      : (/^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier)
    found.push({ target, isOurs, isType, isDynamic })
  }
  for (const [, type, from, bare] of text.matchAll(STATIC)) {
    add(from ?? bare ?? '', type !== undefined, false)
  }
  for (const match of text.matchAll(DYNAMIC)) {
    // `typeof import('x')` and a type position are erased.
    const before = text.slice(Math.max(0, match.index - 12), match.index)
    add(match[1] ?? '', !/(await|return|=>)\s*$/.test(before), true)
  }
  return found
}
