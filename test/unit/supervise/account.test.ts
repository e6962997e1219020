// What root does for the account it gives up its rights to can't be turned against it by that account.
import assert from 'node:assert/strict'
import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import type { Config } from '../../../gateway/config/schema.ts'
import { makeFolder } from '../../../gateway/embedded/folder.ts'
import { createJournal } from '../../../gateway/observe/journal.ts'
import { writeAnew } from '../../../gateway/spool/disk.ts'
import { accountFor, prepareFolders } from '../../../gateway/supervise/account.ts'
import { temporaryFolder, userOf } from '../../support/process.ts'

const nobody = userOf('nobody')
const skip = nobody ? false : 'only root can give files away'
const account = { name: 'nobody', uid: nobody?.uid ?? 0, gid: nobody?.gid ?? 0 }
const configIn = (folder: string) =>
  ({ state: path.join(folder, 'state'), spool: path.join(folder, 'state', 'spool') }) as Config
const ownerOf = async (file: string) => (await stat(file)).uid

test('the folders become the account’s, once more changes nothing', { skip }, async () => {
  await using folder = await temporaryFolder()
  const config = configIn(folder.path)
  for (let time = 0; time < 2; time++) await prepareFolders(config, account)
  for (const name of ['', 'spool', 'spool/incoming', 'journal', 'quarantine'])
    assert.equal(await ownerOf(path.join(config.state, name)), account.uid, name)
})

for (const name of ['journal', 'quarantine', 'spool', 'spool/queued'])
  test(`a link in place of ${name} gives nothing of root's away`, { skip }, async () => {
    await using folder = await temporaryFolder()
    const config = configIn(folder.path)
    const secret = path.join(folder.path, 'of-root')
    await mkdir(secret)
    await mkdir(path.dirname(path.join(config.state, name)), { recursive: true })
    await symlink(secret, path.join(config.state, name))
    await assert.rejects(prepareFolders(config, account), /belongs to somebody else/)
    assert.equal(await ownerOf(secret), 0)
    assert.deepEqual(await readdir(secret), [])
    await assert.rejects(makeFolder(path.join(config.state, name), account))
    assert.equal(await ownerOf(secret), 0)
  })

test('a link in place of a file is not written through, nor given away', { skip }, async () => {
  await using folder = await temporaryFolder()
  const secret = path.join(folder.path, 'of-root')
  await writeFile(secret, 'mine', { mode: 0o600 })
  const today = new Date().toISOString().slice(0, 10)
  const journal = path.join(folder.path, 'journal')
  await mkdir(journal)
  await symlink(secret, path.join(journal, `${today}.i.jsonl`))
  const lost: unknown[] = []
  using written = createJournal({
    ...{ folder: journal, instance: 'i', owner: account },
    onLost: error => lost.push(error),
  })
  written.write('started', {})
  assert.equal(lost.length, 1)
  const config = path.join(folder.path, 'redis.conf')
  await symlink(secret, config)
  await writeAnew(config, 'port 0\n')
  assert.deepEqual([(await stat(secret)).size, await ownerOf(secret)], [4, 0])
})

test('a user that is root by another name is refused', { skip }, async () => {
  await assert.rejects(accountFor('root'), /never runs as it/)
})
