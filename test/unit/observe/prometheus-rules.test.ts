// The shipped alerts: Prometheus takes them, each fires when it should, and all ask for metrics and labels that exist.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { Registry } from 'prom-client'
import { parse } from 'yaml'
import { watchHost } from '../../../gateway/observe/host-metrics.ts'
import { createLedger } from '../../../gateway/observe/ledger.ts'
import { createMetrics } from '../../../gateway/observe/metrics.ts'

const RULES = path.resolve(import.meta.dirname, '../../../deploy/prometheus/rules.yml')
const CASES = path.resolve(import.meta.dirname, 'prometheus-rules.yml')

type Rule = {
  alert: string
  expr: string
  labels: { severity?: string }
  annotations: { summary?: string }
}
const rules: Rule[] = parse(readFileSync(RULES, 'utf8')).groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
)

function promtool(...args: string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
}

/** As the primary's, which has all of them. */
function startedRegistry(): Registry & Disposable {
  const metrics = createMetrics({ role: 'primary' })
  watchHost(metrics, { folders: {}, certificates: () => [] })
  createLedger({ folder: '/nowhere', instance: 'a', metrics })
  return Object.assign(metrics.registry, { [Symbol.dispose]: () => metrics[Symbol.dispose]() })
}

/** Each selector of ours, with the labels it asks for. */
const selectorsIn = (expr: string) =>
  [...expr.matchAll(/(sallyport_[a-z_]+)(?:\{([^}]*)\})?/g)].map(([, name = '', labels = '']) => ({
    name,
    labels: [...labels.matchAll(/([a-z_]+)\s*[=!]/g)].map(([, label]) => label),
  }))

test('promtool takes the rules; where all is well none fires, where nothing is all do', () => {
  promtool('check', 'rules', RULES)
  promtool('test', 'rules', CASES)
  const cases = readFileSync(CASES, 'utf8')
  for (const { alert } of rules) assert.ok(cases.includes(`{alertname="${alert}"}`), alert)
})

test('every metric and every label that a rule asks for is one that we have', () => {
  using registry = startedRegistry()
  const known = registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[]
  for (const { alert, expr } of rules) {
    const selectors = selectorsIn(expr)
    assert.ok(selectors.length > 0, alert)
    for (const { name, labels } of selectors) {
      const metric = known.find(each => each.name === name)
      assert.ok(metric, `${alert} asks for ${name}`)
      for (const label of labels) assert.ok(metric.labelNames.includes(label ?? ''), alert)
    }
    for (const [, list = ''] of expr.matchAll(/by \(([^)]*)\)/g))
      for (const label of list.split(/,\s*/))
        assert.ok(
          label === 'instance' ||
            selectors.every(({ name }) =>
              known.some(each => each.name === name && each.labelNames.includes(label)),
            ),
          `${alert} groups by ${label}`,
        )
  }
})

test('every alert says how urgent it is, and in words what is wrong', () => {
  for (const { alert, labels, annotations } of rules) {
    assert.match(alert, /^Sallyport[A-Z]/)
    assert.ok(['page', 'ticket'].includes(labels.severity ?? ''), alert)
    assert.ok((annotations.summary ?? '').length > 20, alert)
  }
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
})
