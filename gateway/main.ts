// The command `sallyport`: reads its arguments and starts what they name. Alone knows everyone.
import { parseArgs } from 'node:util'
import type { check as checkFile } from './check.ts'
import { ROLES, type Role } from './supervise/messages.ts'

const USAGE = `usage:
  sallyport run   [--config FILE] [--roles receive,scan,relay]
  sallyport check [--config FILE] [--json]
FILE is /etc/sallyport/sallyport.yaml unless given.
`
const DEFAULT_FILE = '/etc/sallyport/sallyport.yaml'
const FAULT = 1
const WRONG_USAGE = 2

function wrongUsage(why: string): number {
  process.stderr.write(`sallyport: ${why}\n${USAGE}`)
  return WRONG_USAGE
}

async function run(file: string, roles: Role[]): Promise<number> {
  // From the first moment on: what takes time to load is loaded after it.
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort())
  const { readConfig } = await import('./config/read.ts')
  const read = await readConfig(file)
  if ('faults' in read) return check(file, { output: process.stderr })
  const warnings = read.warnings.map(w => `${w.file}:${w.line}: ${w.problem} — ${w.mend}`)
  const { runPrimary } = await import('./supervise/primary.ts')
  try {
    return await runPrimary({ file, config: read.config, warnings, roles, stop: stop.signal })
  } catch (error) {
    process.stderr.write(`sallyport: ${error instanceof Error ? error.message : String(error)}\n`)
    return FAULT
  }
}

async function check(...given: Parameters<typeof checkFile>): Promise<number> {
  const checking = await import('./check.ts')
  return checking.check(...given)
}

async function command(args: string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(args)
  } catch (error) {
    return wrongUsage((error as Error).message)
  }
  const { values, positionals } = parsed
  const [name, ...rest] = positionals
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (rest.length > 0) return wrongUsage(`unexpected ${rest.join(' ')}`)
  const file = values.config ?? DEFAULT_FILE
  if (name === 'check') return check(file, { json: values.json ?? false })
  if (name !== 'run') return wrongUsage(name === undefined ? 'no command' : `no command ${name}`)
  const roles = (values.roles ?? ROLES.join()).split(',')
  const strange = roles.find(role => !(ROLES as readonly string[]).includes(role))
  if (strange !== undefined) return wrongUsage(`no role ${strange}`)
  return run(file, roles as Role[])
}

const parse = (args: string[]) =>
  parseArgs({
    args,
    allowPositionals: true,
    options: {
      config: { type: 'string', short: 'c' },
      json: { type: 'boolean' },
      roles: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })

process.exitCode = await command(process.argv.slice(2))
