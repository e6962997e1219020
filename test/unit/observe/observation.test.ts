// A process's observation as a whole: a root primary and workers without its rights share one journal.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, rmSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import type { JournalEntry } from '../../../gateway/observe/journal-line.ts'
import { createJournalTail } from '../../../gateway/observe/journal-tail.ts'
import { createMetrics } from '../../../gateway/observe/metrics.ts'
import { createObservation, journalFolder } from '../../../gateway/observe/observation.ts'
import { watchScanners } from '../../../gateway/observe/scanner-metrics.ts'
import type { Scanner } from '../../../scanners/scanner.ts'
import { temporaryFolder, until, userOf } from '../../support/process.ts'

const source = new URL('../../../gateway/observe/observation.ts', import.meta.url).href

describe('observation', () => {
  test('a worker that gave up root writes to the file its primary made', async () => {
    await using folder = await temporaryFolder('observation')
    chmodSync(folder.path, 0o755)
    const nobody = userOf('nobody')
    const options = { state: folder.path, instance: 'i', hostname: 'h', level: 'error' } as const
    using primary = createObservation({ ...options, role: 'primary', owner: nobody })
    primary.journal.write('primary', { id: 'a' })
    const program = `import { createObservation } from '${source}'
      ${nobody ? `process.setgid(${nobody.gid}); process.setuid(${nobody.uid})` : ''}
      const options = { state: process.argv[1], instance: 'i', hostname: 'h', level: 'error' }
      using worker = createObservation({ ...options, role: 'work' })
      worker.journal.write('worker', { id: 'a' })`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child, 'exit')
    primary.journal.write('primary', { id: 'b' })
    const seen: JournalEntry[] = []
    await createJournalTail(journalFolder(folder.path), 'i').read(entry => seen.push(entry))
    assert.deepEqual(
      seen.map(({ event, id }) => `${event} ${id}`),
      ['primary a', 'worker a', 'primary b'],
    )
  })

  test('lost journal lines are counted, and told once a minute', async () => {
    await using folder = await temporaryFolder('observation')
    const program = `import { createObservation } from '${source}'
      import { chmodSync, rmSync } from 'node:fs'
      const options = { state: process.argv[1], instance: 'i', hostname: 'h', level: 'info', role: 'work' }
      using worker = createObservation(options)
      rmSync(process.argv[1] + '/journal', { recursive: true })
      for (let n = 0; n < 9; n++) worker.journal.write('e', { id: 'a' })
      const { values } = await worker.metrics.instruments.journalLost.get()
      worker.log.write('info', 'count', { lost: values[0].value })`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = (await text(child.stdout))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.deepEqual(
      lines.map(({ event, lost, level }) => [event, level, lost]),
      [
        ['journalLost', 'error', undefined],
        ['count', 'info', 9],
      ],
    )
    rmSync(path.join(folder.path, 'journal'), { recursive: true, force: true })
  })
})

describe('scanner metrics', () => {
  test('show engines, version and signature age, one version at a time', async () => {
    using metrics = createMetrics({ role: 'work' })
    let answer: Awaited<ReturnType<NonNullable<Scanner['version']>>> = {
      ...{ version: '1.4.6', signatures: '27000', signatureAgeSeconds: 3600 },
    }
    let up = true
    const scanner: Scanner = {
      name: 'clamav',
      deadlineMs: 1,
      scan: () => Promise.reject(new Error('not asked')),
      engines: () => [{ address: 'unix:/a', up }],
      version: async () => answer,
      [Symbol.asyncDispose]: async () => undefined,
    }
    const dead = { ...scanner, name: 'rspamd', version: () => Promise.reject(new Error('down')) }
    watchScanners(metrics, [scanner, dead])
    await metrics.snapshot()
    const shown = () => metrics.registry.metrics()
    const info = 'sallyport_scanner_info{scanner="clamav",version="1.4.6",signatures="27000"} 1'
    await until('the version', async () => (await shown()).includes(info))
    assert.match(await shown(), /^sallyport_signature_age_seconds\{scanner="clamav"\} 3600$/m)
    assert.match(await shown(), /^sallyport_engine_up\{engine="clamav",address="unix:\/a"\} 1$/m)
    up = false
    await metrics.snapshot()
    assert.match(await shown(), /^sallyport_engine_up\{engine="clamav",address="unix:\/a"\} 0$/m)
    answer = { version: '1.4.6', signatures: '27001' }
    watchScanners(metrics, [scanner])
    await metrics.snapshot()
    await until('the new ones', async () => (await shown()).includes('27001'))
    assert.doesNotMatch(await shown(), /27000/)
  })
})
