// What the README tells a stranger is true: its configuration is good, its files and commands exist.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configFolder } from '../config/fixtures.ts'
import { read, repositoryFiles } from './source.ts'

const readme = read('README.md')

test('its production configuration has under 15 lines and is good as it stands', async () => {
  const yaml = /```yaml\n([^`]*)```/.exec(readme)?.[1] ?? ''
  assert.ok(yaml.split('\n').length - 1 < 15)
  await using folder = await configFolder()
  const text = yaml.replaceAll('/etc/sallyport/mx1.', 'good.').replaceAll('/etc/sallyport/', '')
  const result = await folder.read(text)
  if ('faults' in result) assert.fail(JSON.stringify(result.faults))
  // The certificates of tests last only a day.
  assert.deepEqual(
    result.warnings.filter(w => !w.path.endsWith('.cert')),
    [],
  )
  const { config } = result
  assert.ok(config.scanners.clamav && config.domains['example.org']?.directory)
})

test('what it links to is there', () => {
  const files = new Set(repositoryFiles())
  for (const file of [...files].filter(name => /(^|\/)README\.md$/.test(name))) {
    for (const [, target = ''] of read(file).matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      const folder = file.includes('/') ? `${file.slice(0, file.lastIndexOf('/'))}/` : ''
      const path = new URL(folder + target, 'file:///').pathname.slice(1)
      assert.ok(files.has(path), `${file}: ${target}`)
    }
  }
})

test('its commands are scripts of the package', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  for (const [, name = ''] of readme.matchAll(/^npm (?:run )?(\w+)/gm))
    assert.ok(scripts[name], name)
})

test('the metrics it names exist', () => {
  const declared = repositoryFiles()
    .filter(file => file.startsWith('gateway/'))
    .map(read)
    .join('\n')
  const alerts = /Worth an alert: ([^.]*)\./.exec(readme)?.[1] ?? ''
  const names = [...alerts.matchAll(/`(\w+)`/g)].map(match => match[1] ?? '')
  assert.ok(names.length >= 5)
  for (const name of names) assert.ok(declared.includes(`'${name}'`), name)
})
