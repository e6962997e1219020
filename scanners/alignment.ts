// Whether a signature's domain speaks for the reverse-path's domain.

/** The reverse-path's domain in lower case; undefined for the null reverse-path. */
export function reversePathDomain(reversePath: string): string | undefined {
  const at = reversePath.lastIndexOf('@')
  const domain = at < 0 ? '' : reversePath.slice(at + 1).toLowerCase()
  return domain === '' ? undefined : domain
}

/**
 * Relaxed alignment (RFC 7489 §3.1.1) without a public suffix list: the signer is the domain itself, or above it.
 * One below it may be anybody's (a customer of the domain has a name there), so neither it nor a sibling counts; that
 * errs towards sending no DSN.
 */
export function aligned(signer: string, domain: string): boolean {
  const [above, below] = [signer, domain].map(name => name.toLowerCase().replace(/\.$/, ''))
  if (!above?.includes('.') || !below?.includes('.')) return false
  return above === below || below.endsWith(`.${above}`)
}
