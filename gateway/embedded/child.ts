// One run of an embedded program: its output in a bounded file, its end as a promise.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Account } from './account.ts'

const OUTPUT_BYTES = 10 * 1024 * 1024
const SHOWN_BYTES = 1000
/** Never through a link: root may write here, in a folder that belongs to the program. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW

export type Child = {
  pid: number
  /** Resolves once it ended, with how: `exit code 1`, `SIGKILL`. */
  ended: Promise<string>
  hasEnded(): boolean
  signal(name: NodeJS.Signals): void
  /** The end of what it has written in this run. */
  output(): Promise<string>
  /** Keeps the output file within its bound. */
  trim(): void
}

/** Rejects where it can't be started; `packageName` is what to install when it is missing. */
export async function startChild({
  command,
  args,
  packageName,
  folder,
  outputFile,
  account,
}: {
  command: string
  args: string[]
  packageName: string
  folder: string
  outputFile: string
  account: Account | undefined
}): Promise<Child> {
  const descriptor = openSync(outputFile, APPEND, 0o600)
  const from = fstatSync(descriptor).size
  let child: ChildProcess
  try {
    child = spawn(command, args, {
      cwd: folder,
      stdio: ['ignore', descriptor, descriptor],
      // Its own process group: Ctrl-C is for the gateway, which stops it when nothing needs it any more.
      detached: true,
      // Our own environment may hold secrets.
      env: { PATH: process.env.PATH, LANG: 'C', TZ: process.env.TZ },
      ...account,
    })
  } finally {
    closeSync(descriptor)
  }
  const { promise: ended, resolve } = Promise.withResolvers<string>()
  child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  await new Promise<void>((started, failed) => {
    child.once('spawn', started)
    child.once('error', (error: NodeJS.ErrnoException) =>
      failed(isMissing(error) ? missing(command, packageName) : error),
    )
  })
  return {
    pid: child.pid ?? 0,
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    signal: name => void child.kill(name),
    output: () => tailOf(outputFile, from),
    trim() {
      const file = openSync(outputFile, APPEND)
      if (fstatSync(file).size > OUTPUT_BYTES) ftruncateSync(file)
      closeSync(file)
    },
  }
}

const missing = (command: string, packageName: string) =>
  new Error(`\`${command}\` is not installed: run \`apt install ${packageName}\``)

async function tailOf(file: string, from: number): Promise<string> {
  await using handle = await open(file)
  const { size } = await handle.stat()
  const start = Math.max(from, size - SHOWN_BYTES)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(SHOWN_BYTES), 0, SHOWN_BYTES, start)
  return buffer.toString('utf8', 0, bytesRead).trim()
}

/** A folder in PATH that we may not read hides that the program is nowhere: the kernel then says EACCES. */
export const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')
