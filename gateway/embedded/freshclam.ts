// Runs freshclam once, if it is there and a mirror can be reached, to fetch or renew official signatures.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { userInfo } from 'node:os'
import path from 'node:path'
import { writeAnew } from '../spool/disk.ts'
import type { Account } from './account.ts'
import { isMissing } from './child.ts'

const MIRROR = 'database.clamav.net'
const CONNECT_TIMEOUT_MS = 5000
/** A first download is some 300 MB. */
const RUN_TIMEOUT_MS = 900_000
const OUTPUT_BYTES = 4000

export type FreshclamResult = { ok: true } | { ok: false; cause: string }

export type FreshclamOptions = {
  folder: string
  database: string
  account: Account | undefined
  signal: AbortSignal
  binary?: string
  /** A host name, or a URL. */
  mirror?: string
}

/** Never rejects. Ends freshclam when `signal` aborts, or after 15 minutes. */
export async function runFreshclam(options: FreshclamOptions): Promise<FreshclamResult> {
  const { folder, database, account, signal, binary = 'freshclam', mirror = MIRROR } = options
  const refused = await unreachable(mirror)
  if (refused !== undefined) return { ok: false, cause: `${mirror} can't be reached: ${refused}` }
  const config = path.join(folder, 'freshclam.conf')
  // As root freshclam would become this user; as anyone else it stays who it is.
  const owner = account === undefined ? `DatabaseOwner ${userInfo().username}\n` : ''
  await writeAnew(
    config,
    `# Written by sallyport at each run.\nDatabaseDirectory ${database}\nDatabaseMirror ${mirror}\n` +
      `${owner}MaxAttempts 2\nConnectTimeout 10\nReceiveTimeout 600\nTestDatabases yes\n`,
  )
  const limit = AbortSignal.any([signal, AbortSignal.timeout(RUN_TIMEOUT_MS)])
  try {
    const child = spawn(binary, ['--config-file', config, '--stdout', '--foreground=no'], {
      ...{ cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], signal: limit },
      ...account,
    })
    let output = ''
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_BYTES)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const [code] = await once(child, 'close')
    if (code === 0) return { ok: true }
    const errors = output.split('\n').filter(line => line.startsWith('ERROR'))
    return { ok: false, cause: errors.at(-1) ?? `exit code ${code}` }
  } catch (error) {
    const missing = isMissing(error)
    return {
      ok: false,
      cause: missing
        ? `\`${binary}\` is not installed: run \`apt install clamav-freshclam\``
        : String(error),
    }
  }
}

/** Why no connection can be made, undefined where one can. freshclam itself would take minutes to say so. */
function unreachable(mirror: string): Promise<string | undefined> {
  const {
    hostname: host,
    protocol,
    port,
  } = new URL(mirror.includes('://') ? mirror : `https://${mirror}`)
  return new Promise(resolve => {
    const socket = net.connect({ host, port: Number(port) || (protocol === 'http:' ? 80 : 443) })
    const finish = (cause: string | undefined) => {
      socket.destroy()
      resolve(cause)
    }
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => finish('no connection in time'))
    socket.once('connect', () => finish(undefined))
    socket.once('error', error => finish(error.message))
  })
}
