// What every gateway measured has in common: a directory of 1000 people, a clamd with signatures, the mail server inside.
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createRandom } from '../chaos/random.ts'
import { temporaryFolder } from '../support/process.ts'
import { type Clamd, startClamd } from '../support/servers/clamd.ts'
import { person, type Slapd, startSlapd } from '../support/servers/slapd.ts'
import { USERS, userAddress } from './plan.ts'
import { startTool, type Tool } from './tool.ts'

export type Backends = {
  slapd: Slapd
  clamd: Clamd
  sink: Tool
  sinkPort: number
} & AsyncDisposable

const LDAP_BASE = 'dc=example,dc=test'

/** `own` is merged into clamd.conf. */
export async function startBackends(own: { [key: string]: unknown } = {}): Promise<Backends> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('bench-clamd'))
  await writeSignatures(path.join(folder.path, 'signatures'))
  // As Debian ships it, where tests want something else; and room for 50 sessions of a milter at once.
  const config = { MaxThreads: 12, IdleTimeout: 30, MaxConnectionQueueLength: 200, ...own }
  const clamd = stack.use(await startClamd({ folder: folder.path, config }))
  const entries = Array.from({ length: USERS }, (_, i) =>
    person(`user${i + 1}`, userAddress(i + 1), {}, LDAP_BASE),
  )
  const slapd = stack.use(await startSlapd({ base: LDAP_BASE, entries }))
  const sink = stack.use(await startTool('sink.ts'))
  const servers = stack.move()
  return {
    ...{ slapd, clamd, sink, sinkPort: Number(sink.hello) },
    [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
  }
}

const SIGNATURES = { hashes: 20_000, bodies: 2000 }

/** So that clamd works as it does with real ones: it hashes each file and searches it for patterns. */
export async function writeSignatures(folder: string): Promise<void> {
  const random = createRandom(20261123)
  const hex = (bytes: number) =>
    Array.from({ length: bytes }, () => random.between(0, 255).toString(16).padStart(2, '0')).join(
      '',
    )
  const hashes = (bytes: number) =>
    Array.from({ length: SIGNATURES.hashes / 2 }, (_, i) =>
      i % 10 === 0
        ? `${hex(bytes)}:*:Bench.Any${bytes}-${i}:73\n`
        : `${hex(bytes)}:${random.between(100, 3_000_000)}:Bench.Hash${bytes}-${i}\n`,
    ).join('')
  const middles = ['', '??', '*', '{4-40}', '????'] as const
  const bodies = Array.from({ length: SIGNATURES.bodies }, (_, i) => {
    const [before, after] = [hex(random.between(8, 24)), hex(random.between(8, 24))]
    // Any file, programs, web pages, mail.
    const kind = random.pick([0, 0, 0, 0, 1, 3, 4])
    return `Bench.Body-${i}:${kind}:*:${before}${random.pick(middles)}${after}\n`
  }).join('')
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, 'bench.hdb'), hashes(16))
  await writeFile(path.join(folder, 'bench.hsb'), hashes(32))
  await writeFile(path.join(folder, 'bench.ndb'), bodies)
}
