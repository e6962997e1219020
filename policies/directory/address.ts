// The spellings under which a directory may hold one address: as sent, and without needless quoting.

/** `local` and `domain` split at the last @; a missing domain is empty. */
export function splitAddress(address: string): { local: string; domain: string } {
  const at = address.lastIndexOf('@')
  if (at < 0) return { local: address, domain: '' }
  return { local: address.slice(0, at), domain: address.slice(at + 1) }
}

/** RFC 5321 §4.1.2: `"john.doe"@x` and `john.doe@x` are one mailbox. The address as sent comes first. */
export function spellings(address: string): string[] {
  const { local, domain } = splitAddress(address)
  if (local.length < 2 || !local.startsWith('"') || !local.endsWith('"')) return [address]
  const plain = local.slice(1, -1).replaceAll(/\\([\s\S])/g, '$1')
  // Directories ignore outer spaces, so that `" john"` would be taken for `john`.
  return plain === plain.trim() ? [address, `${plain}@${domain}`] : [address]
}

/** No mailbox has control characters or outer spaces, but some servers compare as if they were not there. */
export const isAskable = (address: string): boolean =>
  !/[\u0000-\u001f\u007f]/.test(address) && address === address.trim()
