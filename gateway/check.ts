// The command `sallyport check`: says what is wrong with a configuration, and starts nothing.
import { readConfig } from './config/read.ts'

type Output = { write(text: string): unknown }

/** Exit codes of every command. */
const FINE = 0
const FAULT = 1
const WRONG_USAGE = 2

/**
 * Prints faults and warnings, each as `FILE:LINE: problem — mend`, or as one JSON object. Answers the exit
 * code: 0 fine, 1 a fault found, 2 wrong usage.
 */
export async function check(
  file: string,
  options: { json?: boolean; env?: NodeJS.ProcessEnv; output?: Output; errors?: Output } = {},
): Promise<number> {
  const { json = false, env = process.env, output = process.stdout } = options
  const errors = options.errors ?? process.stderr
  if (file === '') {
    errors.write('usage: sallyport check [--config FILE] [--json]\n')
    return WRONG_USAGE
  }
  const read = await readConfig(file, env)
  const faults = 'faults' in read ? read.faults : []
  if (json) {
    const { warnings } = read
    output.write(`${JSON.stringify({ file, fine: faults.length === 0, faults, warnings })}\n`)
    return faults.length === 0 ? FINE : FAULT
  }
  for (const f of faults) errors.write(`${f.file}:${f.line}: ${f.problem} — ${f.mend}\n`)
  for (const w of read.warnings) {
    errors.write(`${w.file}:${w.line}: warning: ${w.problem} — ${w.mend}\n`)
  }
  if (faults.length > 0) {
    errors.write(`${file}: ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}\n`)
    return FAULT
  }
  output.write(`${file}: fine\n`)
  return FINE
}
