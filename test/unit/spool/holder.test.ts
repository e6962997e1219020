// The link whose further names are claims: what it does where the file system lies, or says no.
import assert from 'node:assert/strict'
import { linkSync, lutimesSync, readdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { createHolder } from '../../../gateway/spool/holder.ts'
import { temporaryFolder } from '../../support/process.ts'

const ME = { host: 'me', pid: 1, startedAt: '1' }
const WISH = { usable: () => true, mayBeThere: true }

test('a name whose making was not heard of is known again, where it may be ours', async () => {
  await using folder = await temporaryFolder()
  const at = (name: string) => path.join(folder.path, name)
  using holder = createHolder(folder.path, ME)
  const target = holder.put(at('first'), WISH)
  // As NFS leaves it when the answer is lost on the way and the request is sent once more.
  linkSync(at('first'), at('second'))
  assert.equal(holder.put(at('second'), { ...WISH, mayBeThere: false }), undefined)
  assert.equal(holder.put(at('second'), WISH), target)
  symlinkSync('other:1:1@x-1', at('third'))
  assert.equal(holder.put(at('third'), WISH), undefined)
})

test('what no claim may point at is not pointed at again', async () => {
  await using folder = await temporaryFolder()
  using holder = createHolder(folder.path, ME)
  const first = holder.put(path.join(folder.path, 'first'), WISH)
  const usable = (target: string) => target !== first
  const second = holder.put(path.join(folder.path, 'second'), { ...WISH, usable })
  assert.ok(first && second)
  assert.notEqual(second, first)
  assert.equal(holder.put(path.join(folder.path, 'third'), WISH), second)
})

test('what processes that died left behind is removed after an hour', async () => {
  await using folder = await temporaryFolder()
  for (const [name, ageMs] of Object.entries({ old: 3_700_000, young: 3_500_000 })) {
    symlinkSync('gone:1:1@x-1', path.join(folder.path, name))
    const then = new Date(Date.now() - ageMs)
    lutimesSync(path.join(folder.path, name), then, then)
  }
  using holder = createHolder(folder.path, ME)
  holder.put(path.join(folder.path, 'claim'), WISH)
  const names = readdirSync(folder.path)
  assert.ok(names.includes('young'))
  assert.ok(!names.includes('old'))
})
