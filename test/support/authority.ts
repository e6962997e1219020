// A private certificate authority and a server certificate signed by it, made by openssl when a test needs them.
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'

export type SignedCertificate = { caFile: string; certFile: string; keyFile: string }

function openssl(...args: string[]): void {
  const ran = spawnSync('openssl', args, { encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`openssl ${args[0]}: ${ran.error ?? ran.stderr}`)
}

/** Writes PEM files into `folder`. The certificate is for `names`: `DNS:host` or `IP:address`. */
export async function signedCertificate(
  folder: string,
  names: string[] = ['DNS:localhost', 'IP:127.0.0.1'],
): Promise<SignedCertificate> {
  const file = (name: string) => path.join(folder, name)
  const ca = file('ca.pem')
  const caKey = file('ca.key')
  const key = file('server.key')
  const cert = file('server.pem')
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const forCa = ['-keyout', caKey, '-out', ca, '-days', '30', '-subj', '/CN=Test authority']
  openssl('req', '-x509', ...ec, ...forCa)
  openssl('req', ...ec, '-keyout', key, '-out', file('server.csr'), '-subj', '/CN=server')
  await writeFile(file('server.ext'), `subjectAltName=${names.join(',')}\n`)
  const signing = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-extfile', file('server.ext')]
  openssl('x509', '-req', '-in', file('server.csr'), '-out', cert, '-days', '30', ...signing)
  return { caFile: ca, certFile: cert, keyFile: key }
}
