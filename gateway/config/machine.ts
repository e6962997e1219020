// What the machine is like, as far as it matters to a configuration: who we are, and whom the workers become.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { promisify } from 'node:util'

export type Account = { name: string; uid: number; gid: number }

export type Machine = {
  /** Started by root, so that the workers become somebody else. */
  isRoot: boolean
  account(name: string): Promise<Account | undefined>
  /** Whether a file can be read by the account, with its own group only. */
  isReadableBy(account: Account, file: string): Promise<boolean>
  /** Addresses of this machine's interfaces. */
  ownAddresses: readonly string[]
  nowMs: number
}

export const thisMachine = (): Machine => ({
  isRoot: process.getuid?.() === 0,
  account: accountNamed,
  isReadableBy,
  ownAddresses: Object.values(networkInterfaces()).flatMap(list => list?.map(i => i.address) ?? []),
  nowMs: Date.now(),
})

async function accountNamed(name: string): Promise<Account | undefined> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const line = passwd.split('\n').find(l => l.startsWith(`${name}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  return line === undefined ? undefined : { name, uid: Number(uid), gid: Number(gid) }
}

const run = promisify(execFile)
const ANSWER_MS = 5000

/** Asks the kernel, as that account: mode bits don't tell of access control lists. */
async function isReadableBy({ uid, gid }: Account, file: string): Promise<boolean> {
  try {
    await run('test', ['-r', file], { uid, gid, cwd: '/', timeout: ANSWER_MS })
    return true
  } catch (error) {
    // 1 is its no; anything else says nothing about the file.
    return !(error instanceof Error && 'code' in error && error.code === 1)
  }
}
