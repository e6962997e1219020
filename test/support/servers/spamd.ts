// A private spamd with local rules only: no name server, no network tests, no learning.
import { spawnSync } from 'node:child_process'
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  freePort,
  listening,
  type Running,
  start,
  temporaryFolder,
  until,
  userOf,
} from '../process.ts'
import { endNow, treeOf } from '../process-tree.ts'

export type Spamd = {
  /** As the configuration wants it: `tcp:127.0.0.1:…`. */
  address: string
  port: number
  folder: string
  pid(): number
  output(): string
  /** To all its processes. */
  signal(name: NodeJS.Signals): void
  stop(): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
} & AsyncDisposable

export async function startSpamd(): Promise<Spamd> {
  const temporary = await temporaryFolder('spamd')
  const folder = temporary.path
  const port = await freePort()
  const rules = path.join(folder, 'rules')
  await mkdir(rules)
  // Plugins are loaded by Debian's .pre files; without them spamd cannot scan at all.
  for (const name of await readdir('/etc/spamassassin'))
    if (name.endsWith('.pre'))
      await copyFile(path.join('/etc/spamassassin', name), path.join(rules, name))
  await writeFile(
    path.join(rules, 'local.cf'),
    ['use_bayes 0', 'dns_available no', 'skip_rbl_checks 1', 'required_score 5'].join('\n'),
  )
  if (userOf('debian-spamd')) spawnSync('chown', ['-R', 'debian-spamd', folder])
  const as = userOf('debian-spamd') ? ['--username=debian-spamd'] : []
  const run = async (): Promise<Running> => {
    const spamd = await start('/usr/sbin/spamd', [
      '--local',
      `--listen=127.0.0.1:${port}`,
      '--allowed-ips=127.0.0.1',
      '--max-children=3',
      '--min-children=1',
      `--siteconfigpath=${rules}`,
      '--nouser-config',
      `--helper-home-dir=${folder}`,
      '--syslog=stderr',
      ...as,
    ])
    let over = false
    void spamd.ended.then(() => {
      over = true
    })
    await until(
      'spamd to listen',
      async () => {
        if (over) throw new Error(`spamd ended: ${spamd.output()}`)
        return listening(port)
      },
      60_000,
    )
    return spamd
  }
  let running = await run()
  return {
    address: `tcp:127.0.0.1:${port}`,
    port,
    folder,
    pid: () => running.pid,
    output: () => running.output(),
    signal(name) {
      for (const pid of treeOf(running.pid)) process.kill(pid, name)
    },
    stop: () => running.stop(),
    async kill() {
      const tree = treeOf(running.pid)
      await running.kill()
      endNow(tree)
    },
    async restart() {
      await running.stop()
      running = await run()
    },
    async [Symbol.asyncDispose]() {
      const tree = treeOf(running.pid)
      await running.stop()
      endNow(tree)
      await temporary[Symbol.asyncDispose]()
    },
  }
}
