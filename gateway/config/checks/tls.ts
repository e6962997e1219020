// Certificates and keys of a listener: readable, of one pair, and still valid.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Path } from '../faults.ts'
import type { CheckContext } from './check.ts'
import { readWorkersFile } from './files.ts'

/** A certificate is warned about when it has less than this left. */
const RENEW_DAYS = 7
const DAY_MS = 86_400_000

export async function checkPair(
  pair: { cert: string; key: string },
  path: Path,
  context: CheckContext,
): Promise<void> {
  const { findings, machine } = context
  const certPem = await readWorkersFile(pair.cert, [...path, 'cert'], context)
  const keyPem = await readWorkersFile(pair.key, [...path, 'key'], context)
  const certificate = certPem && parse(() => new X509Certificate(certPem))
  const key = keyPem && parse(() => createPrivateKey(keyPem))
  if (certPem && !certificate) {
    const mend = 'name a PEM file that starts with -----BEGIN CERTIFICATE-----'
    findings.fault([...path, 'cert'], `\`${pair.cert}\` holds no certificate`, mend)
  }
  if (keyPem && !key) {
    const mend = 'name a PEM file with one private key and no passphrase'
    findings.fault([...path, 'key'], `\`${pair.key}\` holds no key that can be used`, mend)
  }
  if (!certificate || !key) return
  if (!certificate.checkPrivateKey(key)) {
    const mend = 'name the key that the certificate was made for'
    findings.fault([...path, 'key'], `\`${pair.key}\` does not belong to \`${pair.cert}\``, mend)
  } else if (!parse(() => createSecureContext({ cert: certPem, key: keyPem }))) {
    const mend = 'make a new one: RSA of 2048 bits or more, or ECDSA'
    findings.fault([...path, 'cert'], `\`${pair.cert}\` is not accepted by OpenSSL`, mend)
  }
  const leftDays = (Date.parse(certificate.validTo) - machine.nowMs) / DAY_MS
  if (leftDays < RENEW_DAYS) {
    const state = leftDays < 0 ? 'has expired' : `expires in ${Math.floor(leftDays)} days`
    findings.warn([...path, 'cert'], `\`${pair.cert}\` ${state}`, 'renew it')
  }
}

function parse<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}
