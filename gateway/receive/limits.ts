// Who may connect, and how much nonsense one session may talk: connection counts, exempt networks, budgets.
import { BlockList, isIP, isIPv4 } from 'node:net'

/** IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) as IPv4. */
export const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '')

/**
 * Tells whether an address lies in one of the networks, `10.0.0.0/8`, `2001:db8::/32` or a single address.
 * Throws on anything else.
 */
export function networks(list: readonly string[]): (address: string) => boolean {
  const blocks = new BlockList()
  for (const entry of list) {
    const [address = '', prefix] = entry.split('/')
    if (isIP(address) === 0) throw new Error(`not a network: ${entry}`)
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    const bits = prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix)
    blocks.addSubnet(address, bits, family)
  }
  return address => {
    const plain = plainAddress(address)
    return isIP(plain) !== 0 && blocks.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
  }
}

/** Whom a client is counted as: an IPv4 address, or the /64 an IPv6 client has all to itself. */
export function clientKey(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === undefined || tail === '' ? [] : tail.split(':')
  while (groups.length + rest.length < 8) groups.push('0')
  return [...groups, ...rest]
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')
}

/** Where a client's next try comes from: itself, or a neighbour in its /24 or /64. */
export function clientNetwork(address: string): string {
  const plain = plainAddress(address)
  return isIPv4(plain) ? plain.slice(0, plain.lastIndexOf('.')) : clientKey(plain)
}

export type Door = {
  /** Counts a connection in, or says why not. */
  enter(address: string): 'total' | 'per-client' | undefined
  /** Once for each `enter` that was let in. */
  leave(address: string): void
  readonly count: number
}

export function createDoor(
  limits: () => { connections: number; connectionsPerClient: number },
  exempt: (address: string) => boolean,
): Door {
  const clients = new Map<string, number>()
  let count = 0
  return {
    enter(address) {
      const key = clientKey(address)
      const here = clients.get(key) ?? 0
      if (count >= limits().connections) return 'total'
      if (here >= limits().connectionsPerClient && !exempt(address)) return 'per-client'
      count++
      clients.set(key, here + 1)
      return undefined
    },
    leave(address) {
      const key = clientKey(address)
      const here = (clients.get(key) ?? 0) - 1
      count--
      if (here > 0) clients.set(key, here)
      else clients.delete(key)
    },
    get count() {
      return count
    },
  }
}

/** Commands that carry no mail forward (NOOP, RSET, VRFY, HELO, EHLO) between two accepted messages; Postfix's junk limit. */
export const IDLE_COMMANDS = 100
const IDLE = new Set(['NOOP', 'RSET', 'VRFY', 'HELO', 'EHLO'])
/** Whether a command carries no mail forward. */
export const isIdle = (command: string): boolean => IDLE.has(command)
/** 4xx refusals between two accepted messages: a client may try many recipients more than we take (RFC 5321 §4.5.3.1.10). */
export const TRANSIENT_REFUSALS = 1000

/** Counts what one session wastes; an accepted message makes up for it. */
export class Budget {
  #permanent = 0
  #transient = 0
  #idle = 0

  refused(code: number): void {
    if (code >= 500) this.#permanent++
    else this.#transient++
  }

  idled(): void {
    this.#idle++
  }

  accepted(): void {
    this.#permanent = 0
    this.#transient = 0
    this.#idle = 0
  }

  exceeded(errors: number): 'errors' | 'idle-commands' | undefined {
    if (this.#permanent >= errors || this.#transient >= TRANSIENT_REFUSALS) return 'errors'
    return this.#idle > IDLE_COMMANDS ? 'idle-commands' : undefined
  }
}
