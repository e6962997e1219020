// The command `sallyport check`: what it prints and how it ends.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { check } from '../../gateway/check.ts'
import { temporaryFolder } from '../support/process.ts'

const config = (hostname: string) => `hostname: ${hostname}
state: state
listen: [{ address: "127.0.0.1:2525" }]
postmaster: postmaster@example.org
domains: { example.org: { nextHop: "smtp://mail.internal" } }
`

async function run(text: string | undefined, json: boolean) {
  await using folder = await temporaryFolder('check')
  const file = path.join(folder.path, 'sallyport.yaml')
  if (text !== undefined) await writeFile(file, text)
  let [output, errors] = ['', '']
  const code = await check(file, {
    json,
    env: {},
    output: { write: written => (output += written) },
    errors: { write: written => (errors += written) },
  })
  return { code, output, errors, file }
}

test('a good file is fine, its warnings are told', async () => {
  const { code, output, errors, file } = await run(config('mx1.example.org'), false)
  assert.equal(code, 0)
  assert.equal(output, `${file}: fine\n`)
  assert.match(errors, /:1: warning: there is no scanner.* — add /)
})

test('a fault is told with its line, and ends with 1', async () => {
  const { code, output, errors, file } = await run(config('mx1'), false)
  assert.equal(code, 1)
  assert.equal(output, '')
  assert.ok(errors.includes(`${file}:1: \`mx1\` is not fully qualified — write `), errors)
})

test('--json writes one object', async () => {
  const { code, output, errors } = await run(config('mx1'), true)
  assert.equal(code, 1)
  assert.equal(errors, '')
  const told: unknown = JSON.parse(output)
  assert.partialDeepStrictEqual(told, { fine: false, faults: [{ line: 1, path: 'hostname' }] })
})

test('a missing file is a fault, no file is wrong usage', async () => {
  assert.equal((await run(undefined, false)).code, 1)
  assert.equal(await check('', { errors: { write: () => true } }), 2)
})

test('the command itself ends with the same codes', () => {
  const launcher = path.join(import.meta.dirname, '../../gateway/sallyport')
  const broken = path.join(import.meta.dirname, 'config/broken/several.yaml')
  const run = (...args: string[]) => spawnSync(launcher, args, { encoding: 'utf8' })
  const { status, stderr } = run('check', '--config', broken)
  assert.equal(status, 1)
  assert.match(stderr, /several\.yaml:12: .*unknown scheme `htp`/)
  assert.equal(run('check', '--confg', broken).status, 2)
  assert.equal(run('run', '--config', broken).status, 1)
})
