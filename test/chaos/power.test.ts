// Power cuts in short: nothing acknowledged is lost; and where the disk never flushes, the account sees that it is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder } from '../support/process.ts'
import { createDisk } from './disk.ts'
import { cutPower, wrongWith } from './power-cut.ts'

async function missing(): Promise<string | undefined> {
  await using folder = await temporaryFolder('power')
  try {
    await using disk = await createDisk({ folder: folder.path })
    disk.cut()
    return disk.mend()
  } catch (error) {
    return (error as Error).message
  }
}

const why = await missing()
const skip = why === undefined ? false : `no disk to cut the power of: ${why}`
const SHORT = { clients: 10, longestMs: 1500 }

test('what was acknowledged before the power went is there after it', { skip }, async () => {
  const cuts = await cutPower({ ...SHORT, seed: 1, cuts: 2, scenes: ['custody', 'down'] })
  for (const cut of cuts) {
    assert.deepEqual(wrongWith(cut), [], `npm run chaos:power -- --seed 1; ${JSON.stringify(cut)}`)
    assert.ok(cut.acknowledgedBefore > 0)
  }
})

test('with a disk that never flushes, mail is lost and the account sees it', { skip }, async () => {
  const options = { ...SHORT, seed: 1, cuts: 1, scenes: ['down'] as const, careless: true }
  const [cut] = await cutPower(options)
  assert.ok(cut)
  assert.ok(cut.account.lost.length > 0, JSON.stringify(cut))
})
