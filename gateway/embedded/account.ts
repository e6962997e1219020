// Whom an embedded program runs as: the configured user where the gateway was started by root.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export type Account = { uid: number; gid: number }

/** Undefined where there is nothing to change: no user configured, or we are not root. Rejects for an unknown user. */
export async function accountOf(user: string | undefined): Promise<Account | undefined> {
  if (user === undefined || process.getuid?.() !== 0) return undefined
  const ask = async (what: string) => Number((await promisify(execFile)('id', [what, user])).stdout)
  try {
    return { uid: await ask('-u'), gid: await ask('-g') }
  } catch {
    throw new Error(`there is no user \`${user}\`: create it with \`adduser --system ${user}\``)
  }
}
