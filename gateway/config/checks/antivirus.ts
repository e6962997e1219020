// Heuristics, ICAP services, command-line scanners: URLs, a program that is there, names for metrics.
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { isHeuristicPattern } from '../../../scanners/clamav/heuristics.ts'
import { FILE, FOLDER } from '../../../scanners/command/command.ts'
import { parseIcapUrl } from '../../../scanners/icap/connection.ts'
import type { Path } from '../faults.ts'
import type { Settings } from '../shape.ts'
import type { Check, CheckContext } from './check.ts'

type Command = NonNullable<NonNullable<Settings['scanners']>['command']>[string]

const NAME = /^[a-z][a-z0-9-]{0,30}$/
/** Of one kind; each is a label of metrics. */
const MOST = 8

export const checkAntivirus: Check = async ({ scanners }, context) => {
  const clamav = typeof scanners?.clamav === 'object' ? scanners.clamav : undefined
  for (const pattern of Object.keys(clamav?.heuristics ?? {})) {
    if (isHeuristicPattern(pattern)) continue
    const mend =
      'write `Heuristics.Phishing.*` (or OLE2.ContainsMacros, Structured, Broken, PDF); no other is safe'
    const path = ['scanners', 'clamav', 'heuristics', pattern]
    context.findings.faultAtKey(path, `\`${pattern}\` is no heuristic name that can score`, mend)
  }
  checkNames(scanners?.icap, ['scanners', 'icap'], context)
  checkNames(scanners?.command, ['scanners', 'command'], context)
  for (const [name, { urls }] of Object.entries(scanners?.icap ?? {})) {
    for (const [i, url] of urls.entries()) {
      if (isIcap(url)) continue
      const path = ['scanners', 'icap', name, 'urls', i]
      const mend = 'write `icap://10.0.0.5:1344/avscan`'
      context.findings.fault(path, `${context.shown(path)} is not an ICAP service`, mend)
    }
  }
  for (const [name, command] of Object.entries(scanners?.command ?? {}))
    await checkCommand(command, ['scanners', 'command', name], context)
}

function checkNames(services: object | undefined, path: Path, { findings }: CheckContext): void {
  if (services === undefined) return
  const names = Object.keys(services)
  if (names.length === 0) findings.fault(path, 'it names no scanner', 'add one, or remove the key')
  if (names.length > MOST) findings.fault(path, `more than ${MOST} of them`, 'remove some')
  for (const name of names) {
    if (NAME.test(name)) continue
    const mend = 'write a short name of a-z, 0-9 and `-`'
    findings.faultAtKey([...path, name], `\`${name}\` is no name for a scanner`, mend)
  }
}

async function checkCommand(command: Command, path: Path, context: CheckContext): Promise<void> {
  const { findings, shown } = context
  const { program, exitCodes } = command
  const at = [...path, 'program']
  if (!program.startsWith('/'))
    findings.fault(at, `${shown(at)} is no absolute path`, 'write `/usr/bin/clamscan`, say')
  else if (!(await isExecutable(program)))
    findings.fault(at, `${shown(at)} can't be run`, 'install it, or name the right program')
  const placed = [FOLDER, FILE].filter(word => command.arguments.some(a => a.includes(word)))
  if (placed.length !== 1) {
    const problem = placed.length === 0 ? 'they name nothing to scan' : 'they name two things'
    findings.fault([...path, 'arguments'], problem, `add either \`${FOLDER}\` or \`${FILE}\``)
  }
  for (const code of Object.keys(exitCodes)) {
    if (/^\d{1,3}$/.test(code) && String(Number(code)) === code && Number(code) < 256) continue
    const mend = 'write a number from 0 to 255'
    findings.faultAtKey([...path, 'exitCodes', code], `\`${code}\` is no exit code`, mend)
  }
  for (const needed of ['clean', 'infected'] as const) {
    if (Object.values(exitCodes).includes(needed)) continue
    const mend = `say which code means ${needed}`
    findings.fault([...path, 'exitCodes'], `no exit code means ${needed}`, mend)
  }
  if (command.infectedName !== undefined && !isPattern(command.infectedName)) {
    const named = [...path, 'infectedName']
    const mend = "write one as JavaScript has them, such as `': (.+) FOUND$'`"
    findings.fault(named, `${shown(named)} is no regular expression`, mend)
  }
}

const isExecutable = (program: string): Promise<boolean> =>
  access(program, constants.X_OK).then(
    () => true,
    () => false,
  )

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp
  } catch {
    return false
  }
}

function isIcap(url: string): boolean {
  try {
    return parseIcapUrl(url).port > 0
  } catch {
    return false
  }
}
