// One fsync for everybody who asked before it began, and for nobody who asked later.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSharedSync } from '../../../gateway/spool/shared-sync.ts'

/** An fsync that ends when it is told to. */
function heldSync() {
  const running: PromiseWithResolvers<void>[] = []
  const sync = createSharedSync('folder', () => {
    const one = Promise.withResolvers<void>()
    running.push(one)
    return one.promise
  })
  return { sync, running }
}

const turn = () => new Promise(setImmediate)

test('who asks while one is under way waits for the next, together with others', async () => {
  const { sync, running } = heldSync()
  const done: string[] = []
  const ask = (name: string) => sync().then(() => done.push(name))
  ask('first')
  ask('second')
  ask('third')
  assert.equal(running.length, 1)
  running[0]?.resolve()
  await turn()
  assert.deepEqual(done, ['first'])
  assert.equal(running.length, 2)
  ask('fourth')
  running[1]?.resolve()
  await turn()
  assert.deepEqual(done, ['first', 'second', 'third'])
  running[2]?.resolve()
  await turn()
  assert.deepEqual(done, ['first', 'second', 'third', 'fourth'])
  assert.equal(running.length, 3)
})

test('one that fails fails for those who waited for it, and the next is tried', async () => {
  const { sync, running } = heldSync()
  const failing = [assert.rejects(sync(), /broken/)]
  const waiting = sync()
  running[0]?.reject(new Error('broken'))
  await turn()
  running[1]?.resolve()
  await waiting
  const again = sync()
  const [one, other] = [sync(), sync()]
  running[2]?.resolve()
  await again
  await turn()
  failing.push(assert.rejects(one, /broken/), assert.rejects(other, /broken/))
  running[3]?.reject(new Error('broken'))
  await Promise.all(failing)
  assert.equal(running.length, 4)
})

test('who asks right when one ends is not served by what began before', async () => {
  const { sync, running } = heldSync()
  const served: number[] = []
  const began = () => running.length
  let asked = 0
  const first = sync()
  const second = sync()
  const late = first.then(() => {
    asked = began()
    return sync().then(() => served.push(began()))
  })
  running[0]?.resolve()
  await first
  for (let i = 0; i < 5; i++) {
    await turn()
    for (const one of running) one.resolve()
  }
  await Promise.all([second, late])
  assert.ok((served[0] ?? 0) > asked)
})
