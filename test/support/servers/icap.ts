// A private c-icap on a TCP port, whose antivirus service asks a clamd of the test's own.
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { freePort, listening, type Running, start, temporaryFolder, until } from '../process.ts'
import { endNow, treeOf } from '../process-tree.ts'
import type { Clamd } from './clamd.ts'

export type Icap = {
  port: number
  /** The antivirus service, as the configuration wants it. */
  url: string
  /** A service that changes nothing, and never says so in another way than by sending it back. */
  echoUrl: string
  output(): string
  /** To all its processes. */
  signal(name: NodeJS.Signals): void
  stop(): Promise<void>
  restart(): Promise<void>
} & AsyncDisposable

const MODULES = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/c_icap`

/** `extra`: lines of c-icap.conf; a later one wins over ours. */
export async function startIcap(clamd: Clamd, extra: string[] = []): Promise<Icap> {
  const temporary = await temporaryFolder('icap')
  const folder = temporary.path
  const port = await freePort()
  const scratch = path.join(folder, 'tmp')
  await mkdir(scratch)
  // clamd is given the name of a file here, and may run as somebody else.
  await chmod(folder, 0o755)
  await chmod(scratch, 0o755)
  const conf = path.join(folder, 'c-icap.conf')
  const lines = [
    `PidFile ${folder}/c-icap.pid`,
    `CommandsSocket ${folder}/c-icap.ctl`,
    'StartServers 1',
    'MaxServers 2',
    'MinSpareThreads 5',
    'MaxSpareThreads 10',
    'ThreadsPerChild 10',
    'KeepAliveTimeout 60',
    `Port 127.0.0.1:${port}`,
    `TmpDir ${scratch}`,
    `ModulesDir ${MODULES}`,
    `ServicesDir ${MODULES}`,
    'TemplateDir /usr/share/c_icap/templates/',
    'TemplateDefaultLanguage en',
    'LoadMagicFile /etc/c-icap/c-icap.magic',
    `ServerLog ${folder}/server.log`,
    `AccessLog ${folder}/access.log`,
    'Service echo srv_echo.so',
    'Module common clamd_mod.so',
    `clamd_mod.ClamdSocket ${clamd.socket}`,
    'Service virus_scan virus_scan.so',
    'virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE',
    'ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple',
    'virus_scan.SendPercentData 5',
    'virus_scan.StartSendPercentDataAfter 2M',
    'virus_scan.MaxObjectSize 50M',
    'virus_scan.DefaultEngine clamd',
    ...extra,
  ]
  await writeFile(conf, `${lines.join('\n')}\n`)
  const run = async (): Promise<Running> => {
    const icap = await start('/usr/bin/c-icap', ['-N', '-D', '-f', conf])
    let over = false
    void icap.ended.then(() => {
      over = true
    })
    await until('c-icap to listen', async () => {
      if (over) throw new Error(`c-icap ended: ${icap.output()}`)
      return listening(port)
    })
    return icap
  }
  let running = await run()
  const end = async () => {
    const tree = treeOf(running.pid)
    await running.stop()
    endNow(tree)
  }
  return {
    port,
    url: `icap://127.0.0.1:${port}/virus_scan`,
    echoUrl: `icap://127.0.0.1:${port}/echo`,
    output: () => running.output(),
    signal(name) {
      for (const pid of treeOf(running.pid)) process.kill(pid, name)
    },
    stop: end,
    async restart() {
      await end()
      running = await run()
    },
    async [Symbol.asyncDispose]() {
      await end()
      await temporary[Symbol.asyncDispose]()
    },
  }
}
