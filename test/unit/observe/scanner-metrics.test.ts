// What scanners say of themselves is shown, one version at a time.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createMetrics } from '../../../gateway/observe/metrics.ts'
import { showScanner } from '../../../gateway/observe/scanner-metrics.ts'

describe('scanner metrics', () => {
  test('show version and signature age; new signatures replace the old', async () => {
    using metrics = createMetrics({ role: 'work' })
    const shown = () => metrics.registry.metrics()
    const about = { version: '1.4.6', signatures: '27000', signatureAgeSeconds: 3600 }
    await showScanner(metrics, 'clamav', about)
    await showScanner(metrics, 'rspamd', { version: '3.4' })
    const info =
      /^sallyport_scanner_info\{scanner="clamav",version="1.4.6",signatures="27000"\} 1$/m
    assert.match(await shown(), info)
    assert.match(await shown(), /^sallyport_signature_age_seconds\{scanner="clamav"\} 3600$/m)
    await showScanner(metrics, 'clamav', { version: '1.4.6', signatures: '27001' })
    const text = await shown()
    assert.match(text, /signatures="27001"/)
    assert.match(text, /scanner="rspamd",version="3.4"/)
    assert.doesNotMatch(text, /27000|sallyport_signature_age_seconds\{/)
  })
})
