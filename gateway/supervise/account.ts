// Whom the gateway runs as: never root where it faces the internet (I8).
import { mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Config } from '../config/schema.ts'
import { giveFolder } from '../spool/disk.ts'
import type { Account } from './messages.ts'

/** Tried in turn where root started us and the configuration names nobody. */
const OTHERWISE = ['sallyport', 'nobody']

/** The account to become; undefined where we are not root, and so can't and needn't. Rejects for an unknown user. */
export async function accountFor(user: string | undefined): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const known = await accounts()
  for (const name of user === undefined ? OTHERWISE : [user]) {
    const account = known.get(name)
    if (account?.uid === 0)
      throw new Error(`${name} is root: what faces the internet never runs as it`)
    if (account) return account
  }
  throw new Error(`there is no user ${user ?? OTHERWISE.join(' or ')} to run as: create one`)
}

async function accounts(): Promise<Map<string, Account>> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map(line => line.split(':'))
  return new Map(
    lines.map(([name = '', , uid, gid]) => [name, { name, uid: Number(uid), gid: Number(gid) }]),
  )
}

/** Becomes the account, for good. */
export function become({ uid, gid }: Account): void {
  process.setgroups?.([gid])
  process.setgid?.(gid)
  process.setuid?.(uid)
}

/** Makes the folders that workers write to, theirs. */
export async function prepareFolders(config: Config, account: Account | undefined): Promise<void> {
  const folders = [
    config.state,
    config.spool,
    ...['incoming', 'queued', 'corrupt', 'unanswered', 'holders'].map(name =>
      path.join(config.spool, name),
    ),
    path.join(config.state, 'journal'),
    path.join(config.state, 'quarantine'),
    path.join(config.state, 'canary'),
  ]
  for (const folder of folders) {
    await mkdir(folder, { recursive: true, mode: 0o750 })
    if (account) await giveFolder(folder, account)
  }
}

/** Binding a port below 1024 again, for a worker that is started anew, takes root. */
export const needsRoot = (config: Config): boolean =>
  config.listen.some(({ address }) => {
    const port = Number(address.slice(address.lastIndexOf(':') + 1))
    return port > 0 && port < 1024
  })
