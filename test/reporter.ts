// Tells node:test's story: a line for each failure as it happens, the causes in full, and `N passed, N failed` at the end.
import path from 'node:path'
import type { TestEvent } from 'node:test/reporters'
import { inspect } from 'node:util'

type Failed = Extract<TestEvent, { type: 'test:fail' }>['data']
type Ended = Extract<TestEvent, { type: 'test:pass' }>['data'] | Failed

/** Suites and tests with subtests only repeat what their parts say, unless they broke by themselves. */
const RELAYED = new Set(['subtestsFailed', 'cancelledByParent'])

function placeOf(test: Ended): string {
  const file = test.file === undefined ? '' : path.relative(process.cwd(), test.file)
  return `${file}${test.line === undefined ? '' : `:${test.line}`}`
}

/** The thrown thing itself: node:test wraps it in an error of its own. */
function causeOf(test: Failed): string {
  const error = test.details.error
  const cause = error.cause instanceof Error ? error.cause : error
  return inspect(cause, { depth: 6, breakLength: 100 }).replace(/^/gm, '    ')
}

const isRelayed = ({ details: { error } }: Failed): boolean =>
  'failureType' in error && RELAYED.has(String(error.failureType))

/** A file that declared no test passes under its own name: that is a mistake, not a test. */
const isEmptyFile = (test: Ended): boolean => test.nesting === 0 && test.name === test.file

// biome-ignore lint/style/noDefaultExport: node:test asks for one.
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const started = Date.now()
  const failures: string[] = []
  const printed = new Map<string, string>()
  const parents = new Set<string>()
  let [passed, failed, skipped, todo] = [0, 0, 0, 0]
  const key = (test: { file?: string; nesting: number }, nesting: number) =>
    `${test.file}|${nesting}`
  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      printed.set(data.file, `${printed.get(data.file) ?? ''}${data.message}`.slice(-20_000))
    } else if (type === 'test:pass' || type === 'test:fail') {
      if (data.nesting > 0) parents.add(key(data, data.nesting - 1))
      const isParent = parents.delete(key(data, data.nesting)) || data.details.type === 'suite'
      if (data.skip !== undefined && data.skip !== false) skipped++
      else if (data.todo !== undefined && data.todo !== false) todo++
      else if (type === 'test:pass') {
        if (isEmptyFile(data)) {
          failed++
          failures.push(`${placeOf(data)}\n    declares no test`)
        } else if (!isParent) passed++
      } else if (!isRelayed(data) || !isParent) {
        failed++
        const told = isEmptyFile(data) ? `\n${printed.get(data.file ?? '') ?? ''}` : ''
        failures.push(`${placeOf(data)} ${data.name}\n${causeOf(data)}${told}`)
        yield `not ok  ${placeOf(data)} ${data.name}\n`
      }
    }
  }
  for (const [index, failure] of failures.entries()) yield `\n${index + 1}) ${failure}\n`
  const aside = `${skipped > 0 ? `${skipped} skipped, ` : ''}${todo > 0 ? `${todo} todo, ` : ''}`
  if (skipped + todo > 0) yield `\n${aside.slice(0, -2)} (counted as neither)\n`
  yield `(${((Date.now() - started) / 1000).toFixed(1)} s)\n`
  yield `${passed} passed, ${failed} failed\n`
}
