// Whether a signature's domain speaks for the reverse-path's domain.

/** The reverse-path's domain in lower case; undefined for the null reverse-path. */
export function reversePathDomain(reversePath: string): string | undefined {
  const at = reversePath.lastIndexOf('@')
  const domain = at < 0 ? '' : reversePath.slice(at + 1).toLowerCase()
  return domain === '' ? undefined : domain
}

/**
 * Relaxed alignment (RFC 7489 §3.1.1) without a public suffix list: equal, or one a subdomain of the other.
 * So siblings below one organisation don't align; that errs towards sending no DSN.
 */
export function aligned(signer: string, domain: string): boolean {
  const [a, b] = [signer, domain].map(name => name.toLowerCase().replace(/\.$/, ''))
  if (a === undefined || b === undefined || !a.includes('.') || !b.includes('.')) return false
  return a === b || a.endsWith(`.${b}`) || b.endsWith(`.${a}`)
}
