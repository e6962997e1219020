// A private clamd on a unix socket and a TCP port, with a signature set of our own that knows EICAR.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { EICAR } from '../eicar.ts'
import { freePort, listening, type Running, start, temporaryFolder, until } from '../process.ts'

export type Clamd = {
  /** Both, as the configuration wants them: `unix:/…` and `tcp:127.0.0.1:…`. */
  addresses: string[]
  unix: string
  tcp: string
  socket: string
  port: number
  folder: string
  pid(): number
  output(): string
  signal(name: NodeJS.Signals): void
  /** SIGTERM and wait; `restart` starts it again on the same addresses. */
  stop(): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
} & AsyncDisposable

/** A signature set, in the form of an .ndb file, of a clamd that does not know EICAR. */
export const WITHOUT_EICAR = `Other-Test-Signature:0:*:${Buffer.from('no mail has this in it').toString('hex')}\n`

/** `Name Value` lines of clamd.conf; a later one wins over ours. */
export type ClamdOverrides = Record<string, string | number>

export type ClamdOptions = { folder?: string; config?: ClamdOverrides; signatures?: string }

export async function startClamd(options: ClamdOptions = {}): Promise<Clamd> {
  const temporary = options.folder === undefined ? await temporaryFolder('clamd') : undefined
  const folder = options.folder ?? temporary?.path ?? ''
  const socket = path.join(folder, 'clamd.sock')
  const port = await freePort()
  const conf = path.join(folder, 'clamd.conf')
  await mkdir(path.join(folder, 'signatures'), { recursive: true })
  const eicar = `Eicar-Test-Signature:0:*:${Buffer.from(EICAR).toString('hex')}\n`
  await writeFile(path.join(folder, 'signatures', 'eicar.ndb'), options.signatures ?? eicar)
  const settings: ClamdOverrides = {
    Foreground: 'yes',
    LocalSocket: socket,
    LocalSocketMode: 666,
    FixStaleSocket: 'yes',
    TCPSocket: port,
    TCPAddr: '127.0.0.1',
    DatabaseDirectory: path.join(folder, 'signatures'),
    TemporaryDirectory: folder,
    StreamMaxLength: '64M',
    MaxScanSize: '200M',
    MaxFileSize: '64M',
    MaxScanTime: 60_000,
    AlertExceedsMax: 'yes',
    AlertEncrypted: 'yes',
    MaxThreads: 4,
    MaxQueue: 200,
    IdleTimeout: 5,
    SelfCheck: 3600,
    ConcurrentDatabaseReload: 'no',
    ...options.config,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}`)
  await writeFile(conf, `${lines.join('\n')}\n`)

  const run = async (): Promise<Running> => {
    await rm(socket, { force: true })
    const clamd = await start('/usr/sbin/clamd', ['--config-file', conf])
    let over = false
    void clamd.ended.then(() => {
      over = true
    })
    await until('clamd to listen', async () => {
      if (over) throw new Error(`clamd ended: ${clamd.output()}`)
      return (await listening(port)) && (await listening(socket))
    })
    return clamd
  }
  let running = await run()
  return {
    addresses: [`unix:${socket}`, `tcp:127.0.0.1:${port}`],
    unix: `unix:${socket}`,
    tcp: `tcp:127.0.0.1:${port}`,
    socket,
    port,
    folder,
    pid: () => running.pid,
    output: () => running.output(),
    signal: name => running.signal(name),
    stop: () => running.stop(),
    kill: () => running.kill(),
    async restart() {
      await running.stop()
      running = await run()
    },
    async [Symbol.asyncDispose]() {
      await running.kill()
      await temporary?.[Symbol.asyncDispose]()
    },
  }
}
