// Names a message by what a client's retry of it has in common with the first try.
import { hash } from 'node:crypto'
import { clientNetwork } from './limits.ts'

/**
 * Names a reverse-path and a content from one network, so that a client's retry is recognised. Whoever else has
 * the same message must not make it count as delivered: they may have done so in order to have it quarantined.
 */
export function fingerprint(client: string, reversePath: string, sha256: string): string {
  const named = [clientNetwork(client), reversePath, sha256].join('\0')
  return hash('sha256', named).slice(0, 40)
}
