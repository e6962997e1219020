// Self-signed certificates for tests, made by openssl, one per set of names and process.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** PEM texts; `cert` is its own authority. */
export type Certificate = { cert: string; key: string }

const made = new Map<string, Certificate>()

/** A certificate for DNS names and IP addresses, valid for a day. */
export function selfSigned(...names: string[]): Certificate {
  const known = made.get(names.join())
  if (known) return known
  const folder = mkdtempSync(path.join(tmpdir(), 'certificate-'))
  const [keyFile, certFile] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')]
  const san = names.map(name => `${/^[\d.]+$|:/.test(name) ? 'IP' : 'DNS'}:${name}`).join()
  const openssl = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-keyout', keyFile, '-out', certFile, '-days', '1'],
    ...['-subj', `/CN=${names[0]}`, '-addext', `subjectAltName=${san}`],
  ])
  if (openssl.status !== 0) throw new Error(`openssl: ${openssl.stderr}`)
  const certificate = {
    cert: readFileSync(certFile, 'utf8'),
    key: readFileSync(keyFile, 'utf8'),
  }
  rmSync(folder, { recursive: true })
  made.set(names.join(), certificate)
  return certificate
}
