// Certificates: reads and proves the pairs of a listener, and chooses one by SNI (RFC 6066 §3).
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Listener } from '../config/schema.ts'

type Pair = { certificate: X509Certificate; context: SecureContext }

export type Certificates = {
  /** PEM of the first pair, which is also the answer to unknown names. */
  cert: Buffer
  key: Buffer
  /** The context for a name of the client's; the first pair's where none fits. */
  choose(servername: string): SecureContext
}

/** RFC 8996 */
const MIN_VERSION = 'TLSv1.2'

async function loadPair(files: { cert: string; key: string }) {
  const [cert, key] = await Promise.all([readFile(files.cert), readFile(files.key)])
  const certificate = new X509Certificate(cert)
  if (!certificate.checkPrivateKey(createPrivateKey(key))) {
    throw new Error(`${files.key} is not the key of ${files.cert}`)
  }
  const context = createSecureContext({ cert, key, minVersion: MIN_VERSION })
  return { cert, key, pair: { certificate, context } satisfies Pair }
}

/** Reads and proves every pair of a listener; rejects if one of them is of no use. undefined where it has no TLS. */
export async function loadCertificates(tls: Listener['tls']): Promise<Certificates | undefined> {
  if (tls === undefined) return undefined
  const loaded = await Promise.all((Array.isArray(tls) ? tls : [tls]).map(loadPair))
  const [first] = loaded
  if (!first) return undefined
  const pairs = loaded.map(one => one.pair)
  return {
    cert: first.cert,
    key: first.key,
    choose(servername) {
      const fits = (pair: Pair) => pair.certificate.checkHost(servername) !== undefined
      return (servername === '' ? undefined : pairs.find(fits))?.context ?? first.pair.context
    },
  }
}
