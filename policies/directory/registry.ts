// Makes the directories that the configuration names, each behind its cache: a new kind is one file and one line here.
import { type CacheSettings, withCache } from './cache.ts'
import type { Directory } from './directory.ts'
import { createFileDirectory } from './file.ts'
import { createLdapDirectory, type LdapSettings } from './ldap.ts'

/** What `directory.<name>` holds once read. */
export type DirectorySettings = ({ ldap: LdapSettings } | { file: string }) & CacheSettings

/** Told when an LDAP server or a recipients file becomes of use, or ceases to be. */
export type EngineChange = {
  engine: 'ldap' | 'file'
  address: string
  up: boolean
  cause?: string
}

/**
 * Rejects where settings can never work, naming the directory; a server that is away or a file that is not there yet
 * is only `unavailable`. The caller disposes of each.
 */
export async function createDirectories(
  settings: Record<string, DirectorySettings>,
  onEngine: (change: EngineChange) => void = () => {},
): Promise<Map<string, Directory>> {
  const directories = new Map<string, Directory>()
  for (const [name, one] of Object.entries(settings)) {
    try {
      directories.set(name, withCache(await create(name, one, onEngine), one))
    } catch (error) {
      for (const made of directories.values()) await made[Symbol.asyncDispose]()
      throw new Error(`directory ${name}: ${error instanceof Error ? error.message : error}`)
    }
  }
  return directories
}

function create(
  name: string,
  settings: DirectorySettings,
  onEngine: (change: EngineChange) => void,
): Promise<Directory> {
  if ('ldap' in settings) {
    return createLdapDirectory(name, settings.ldap, change =>
      onEngine({ engine: 'ldap', ...change }),
    )
  }
  const { file } = settings
  return createFileDirectory(name, file, {
    onChange: change => onEngine({ engine: 'file', address: file, ...change }),
  })
}
