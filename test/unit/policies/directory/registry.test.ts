// Directories made from the configuration: each by its kind, behind its cache, its engine told.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { ldapSettings } from '../../../../policies/directory/ldap.ts'
import { createDirectories, type EngineChange } from '../../../../policies/directory/registry.ts'
import { temporaryFolder } from '../../../support/process.ts'
import { person, startSlapd } from '../../../support/servers/slapd.ts'

const CACHE = { positiveTtl: 60_000, negativeTtl: 60_000, cacheEntries: 100 }

test('one of LDAP and one of a file, cached, and told of', async () => {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'recipients')
  await writeFile(file, 'bob@example.org\n')
  await using slapd = await startSlapd({ entries: [person('anna', 'anna@example.org')] })
  const ldap = ldapSettings.parse({ urls: [slapd.url], base: slapd.base })
  const changes: EngineChange[] = []
  const directories = await createDirectories(
    { staff: { ldap, ...CACHE }, lists: { file, ...CACHE } },
    change => changes.push(change),
  )
  const [staff, lists] = [directories.get('staff'), directories.get('lists')]
  assert.ok(staff && lists)
  await using _staff = staff
  await using _lists = lists
  assert.equal(staff.name, 'staff')
  assert.equal((await staff.lookup('anna@example.org')).existence, 'exists')
  assert.equal((await staff.lookup('bob@example.org')).existence, 'unknown')
  assert.equal((await lists.lookup('bob@example.org')).existence, 'exists')
  assert.deepEqual(changes, [
    { engine: 'file', address: file, up: true },
    { engine: 'ldap', address: `127.0.0.1:${slapd.port}`, up: true },
  ])
  await slapd.stop()
  assert.deepEqual(await staff.lookup('anna@example.org'), { existence: 'exists', cached: true })
})

test('what can never work is told with the name of the directory', async () => {
  const ldap = ldapSettings.parse({ urls: ['ldap://127.0.0.1:1'], base: 'dc=x', bindDn: 'cn=x' })
  await assert.rejects(createDirectories({ staff: { ldap, ...CACHE } }), /directory staff: no pass/)
})
