// The commented example, the JSON Schema and the settings' declarations agree.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { configJsonSchema, configJsonSchemaText } from '../../../gateway/config/json-schema.ts'
import { type ConfigFolder, configFolder } from './fixtures.ts'

const deploy = path.join(import.meta.dirname, '../../../deploy')
const example = await readFile(path.join(deploy, 'sallyport.example.yaml'), 'utf8')

let folder: ConfigFolder
before(async () => {
  folder = await configFolder()
  const copies = { 'mx1.pem': 'good.pem', 'mx1.key': 'good.key', 'ca.pem': 'good.pem' }
  const more = { 'ldap.password': 'password.txt' }
  for (const [name, from] of Object.entries({ ...copies, ...more })) {
    const file = path.join(folder.path, name)
    await writeFile(file, await readFile(path.join(folder.path, from)), { mode: 0o600 })
  }
})
after(() => folder[Symbol.asyncDispose]())

test('the example is a good configuration', async () => {
  const text = example.replaceAll('/etc/sallyport/', '')
  const read = await folder.read(text, { RSPAMD_PASSWORD: 'pa55' })
  if ('faults' in read) assert.fail(JSON.stringify(read.faults, null, 1))
  // The certificates of tests last only a day.
  const told = read.warnings.map(w => w.path).filter(told => !told.endsWith('.cert'))
  assert.deepEqual(told, ['domains.example.org.failure.rspamd.down'])
})

type Schema = { properties?: Record<string, unknown> }
/** Every key declared anywhere below a schema, with its own schema. */
function* keysOf(schema: unknown): Generator<[string, unknown]> {
  if (typeof schema !== 'object' || schema === null) return
  for (const [key, value] of Object.entries((schema as Schema).properties ?? {})) yield [key, value]
  for (const value of Object.values(schema)) yield* keysOf(value)
}
const keys = [...keysOf(configJsonSchema())]

test('the example names every setting', () => {
  const missing = keys.map(([key]) => key).filter(key => !new RegExp(`\\b${key}:`).test(example))
  assert.deepEqual([...new Set(missing)], [])
  assert.ok(keys.length > 60)
})

test('every setting carries its documentation', () => {
  const bare = keys.filter(
    ([, schema]) => typeof (schema as { description?: unknown }).description !== 'string',
  )
  assert.deepEqual(
    bare.map(([key]) => key),
    [],
  )
})

test('deploy/sallyport.schema.json is what the declarations generate', async () => {
  const committed = await readFile(path.join(deploy, 'sallyport.schema.json'), 'utf8')
  const mend = 'sh gateway/node.sh gateway/config/json-schema.ts > deploy/sallyport.schema.json'
  assert.ok(committed === configJsonSchemaText(), `generate it again: ${mend}`)
})
