// Versions below which a package has a known hole, and a lockfile that works with any registry.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { read } from './source.ts'

type Lock = { packages: Record<string, { version?: string; integrity?: string }> }
const lock = JSON.parse(read('package-lock.json')) as Lock
const manifest = JSON.parse(read('package.json')) as {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  optionalDependencies: Record<string, string>
}

const LEAST: Record<string, string> = {
  nodemailer: '9.1.1',
  'smtp-server': '3.19.0',
  mailauth: '5.0.3',
}

const numbers = (version: string): number[] => version.split('.').map(Number)

function isAtLeast(version: string, least: string): boolean {
  const [have, need] = [numbers(version), numbers(least)]
  for (const [i, part] of need.entries()) {
    if ((have[i] ?? 0) !== part) return (have[i] ?? 0) > part
  }
  return true
}

test('versions compare by number', () => {
  assert.ok(isAtLeast('10.0.0', '9.1.1'))
  assert.ok(isAtLeast('9.1.1', '9.1.1'))
  assert.ok(!isAtLeast('9.1.0', '9.1.1'))
  assert.ok(!isAtLeast('3.2.9', '3.19.0'))
})

for (const [name, least] of Object.entries(LEAST)) {
  test(`${name} is ${least} or newer, wherever it is installed`, () => {
    const installed = Object.entries(lock.packages).filter(([place]) =>
      place.endsWith(`node_modules/${name}`),
    )
    assert.ok(installed.length > 0)
    for (const [place, { version }] of installed) {
      assert.ok(isAtLeast(version ?? '0', least), `${place} is ${version}`)
    }
  })
}

test('the lockfile names no registry, but every package by its hash', () => {
  assert.doesNotMatch(read('package-lock.json'), /"resolved"|https?:\/\/[^"]*\.tgz/)
  for (const [place, { integrity }] of Object.entries(lock.packages)) {
    if (place !== '') assert.match(integrity ?? '', /^sha512-/, place)
  }
})

test('every dependency is pinned to one version', () => {
  const { dependencies, devDependencies, optionalDependencies } = manifest
  for (const [name, version] of Object.entries({
    ...dependencies,
    ...devDependencies,
    ...optionalDependencies,
  })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name)
  }
})

test('the README gives a reason for each dependency', () => {
  const readme = read('README.md')
  const { dependencies, devDependencies } = manifest
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    assert.ok(readme.includes(`\`${name}\``), name)
  }
})
