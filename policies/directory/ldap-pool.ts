// The few connections to one LDAP server: opened when needed, shared by a bounded number of lookups.
import { within } from './deadline.ts'
import { type LdapConnection, type LdapTarget, openConnection } from './ldap-connection.ts'

type Ldapjs = typeof import('ldapjs')

/** Why there was no connection; `fault` where that is the server's. */
export type NoConnection = { cause: string; fault: boolean }

export type LdapPool = {
  /** Lends the least busy connection; `fresh` where it was opened for this. Waits at most `timeoutMs` for it. */
  use<T>(
    timeoutMs: number,
    work: (connection: LdapConnection, fresh: boolean) => Promise<T>,
  ): Promise<T | NoConnection>
  close(): void
}

/** Lookups at once on one connection, counting those that wait for it to open; more are turned away. */
const USERS_PER_CONNECTION = 250

type Slot = {
  users: number
  connection?: LdapConnection
  opening?: Promise<LdapConnection | string>
}

export function createLdapPool(ldapjs: Ldapjs, target: LdapTarget, connections: number): LdapPool {
  const slots: Slot[] = Array.from({ length: connections }, () => ({ users: 0 }))
  let closed = false

  const open = (slot: Slot, timeoutMs: number) => {
    slot.opening ??= openConnection(ldapjs, target, timeoutMs).then(opened => {
      delete slot.opening
      if (typeof opened === 'string') return opened
      if (closed) opened.close()
      else slot.connection = opened
      return opened
    })
    return within(slot.opening, timeoutMs, 'not connected in time')
  }
  /** A connection that is there is better than one to be opened, unless it is in use. */
  const load = (slot: Slot) => slot.users + (slot.connection?.alive ? 0 : 0.5)

  return {
    async use(timeoutMs, work) {
      if (closed) return { cause: 'the directory was closed', fault: false }
      const slot = slots.reduce((least, other) => (load(other) < load(least) ? other : least))
      if (slot.users >= USERS_PER_CONNECTION) {
        return { cause: 'too many lookups at once', fault: false }
      }
      slot.users++
      try {
        if (slot.connection?.alive) return await work(slot.connection, false)
        const opened = await open(slot, timeoutMs)
        if (typeof opened === 'string') return { cause: opened, fault: !closed }
        return await work(opened, true)
      } finally {
        slot.users--
      }
    },
    close() {
      closed = true
      for (const slot of slots) slot.connection?.close()
    },
  }
}
