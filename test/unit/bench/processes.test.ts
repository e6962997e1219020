// CPU time by process tree, and by control group where a tree does not tell.
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { makeCpuGroup } from '../../bench/cpu-group.ts'
import { eximMissing } from '../../bench/exim.ts'
import { cpuOf } from '../../bench/processes.ts'
import { start, until } from '../../support/process.ts'

const LOOPS = 200_000
const BUSY = `i=0; while [ $i -lt ${LOOPS} ]; do i=$((i+1)); done`
/** dash waits, and perl is told not to: the kernel then adds a child's time to nobody's. */
const LEAVES = `$SIG{CHLD} = 'IGNORE'; if (!fork) { exec 'sh', '-c', '${BUSY}' } sleep 60`
const groups = () =>
  ['/sys/fs/cgroup/cpuacct', '/sys/fs/cgroup']
    .flatMap(root => (existsSync(root) ? readdirSync(root) : []))
    .filter(name => name === `cpu-test-${process.pid}`)

test('children that were waited for belong to the tree, and others to the group', async () => {
  await using waits = await start('sh', ['-c', `sh -c '${BUSY}'; sleep 60`])
  const tree = { name: 'tree', roots: [waits.pid] }
  await until('the child to end', () => (cpuOf([tree])[0] ?? 0) >= 50)
  {
    await using group = makeCpuGroup('cpu-test')
    const isCounted = Number.isFinite(group.spentMs())
    await using leaves = await start(...group.within('perl', ['-e', LEAVES]))
    const lost = { name: 'lost', roots: [leaves.pid] }
    const found = { ...lost, spentMs: group.spentMs }
    const isOver = () => (isCounted ? group.spentMs() >= 50 : true)
    await until('the other child to be at work', isOver)
    if (isCounted) assert.ok((cpuOf([found])[0] ?? 0) >= 50)
    else assert.ok(Number.isNaN(cpuOf([found])[0]))
  }
  assert.deepEqual(groups(), [])
})

test('an Exim that is not there is not measured', () => {
  assert.match(eximMissing('/nowhere/at/all') ?? '', /exim4 is not installed; --exim FOLDER/)
})
