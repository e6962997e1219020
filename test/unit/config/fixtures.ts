// The files that configurations under test refer to, and a machine that doesn't change under them.

import { createPrivateKey } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Machine } from '../../../gateway/config/machine.ts'
import { type ReadConfig, readConfig } from '../../../gateway/config/read.ts'
import { selfSigned } from '../../support/certificate.ts'
import { type Folder, temporaryFolder } from '../../support/process.ts'

export type ConfigFolder = Folder & {
  machine: Machine
  /** Writes a configuration into the folder and reads it as the gateway would. */
  read(text: string, env?: NodeJS.ProcessEnv): Promise<ReadConfig>
}

export async function configFolder(): Promise<ConfigFolder> {
  const folder = await temporaryFolder('config')
  const good = selfSigned('mx1.example.org')
  const locked = createPrivateKey(good.key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' })
    .toString()
  const files = {
    'good.pem': good.cert,
    'good.key': good.key,
    'other.key': selfSigned('other.example.org').key,
    'locked.key': locked,
    'recipients.txt': 'alice@example.org\n',
    'password.txt': 'hunter2\n',
    'empty.txt': '\n',
  }
  for (const [name, text] of Object.entries(files)) {
    await writeFile(path.join(folder.path, name), text, { mode: 0o600 })
  }
  const machine: Machine = {
    isRoot: true,
    account: async name => {
      const uid = { root: 0, sallyport: 990, nobody: 65_534 }[name]
      return uid === undefined ? undefined : { name, uid, gid: uid }
    },
    isReadableBy: async () => true,
    ownAddresses: ['127.0.0.1', '192.0.2.1', '::1'],
    nowMs: Date.now(),
  }
  return {
    ...folder,
    machine,
    async read(text, env = {}) {
      const file = path.join(folder.path, 'sallyport.yaml')
      await writeFile(file, text)
      return readConfig(file, env, machine)
    },
  }
}

/** The least that is a configuration, with more lines after it. */
export const leastConfig = (...more: string[]): string =>
  [
    'hostname: mx1.example.org',
    'state: state',
    'user: sallyport',
    'listen: [{ address: "127.0.0.1:2525" }]',
    'postmaster: postmaster@example.org',
    'domains: { example.org: { nextHop: "smtp://mail.internal" } }',
    ...more,
    '',
  ].join('\n')
