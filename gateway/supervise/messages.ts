// What primary and workers say to each other over the cluster's channel.
import type { Config } from '../config/schema.ts'

/** The stops that may run as services of their own. */
export const ROLES = ['receive', 'scan', 'relay'] as const
export type Role = (typeof ROLES)[number]

/** Workers on the internet only receive; the others do the rest. */
export type WorkerKind = 'receive' | 'work'

export type Start = {
  sallyport: 'start'
  config: Config
  kind: WorkerKind
  roles: Role[]
  /** Counts the workers of a kind from 1; the first also sweeps. */
  slot: number
  /** Names this start of the gateway in the journal. */
  instance: string
  /** Whom to become, where the primary has to stay root. */
  account?: Account
}

export type Account = { name: string; uid: number; gid: number }

export type ToWorker =
  | Start
  | { sallyport: 'reload'; config: Config }
  | { sallyport: 'stop'; graceMs: number }

export type ToPrimary =
  | { sallyport: 'started' }
  /** Why this worker would not do its work now; none when it would. */
  | { sallyport: 'status'; reasons: string[] }
  | { sallyport: 'reloaded'; fault?: string }

/** What the process that tries mail alone is told, after its start, and what it says. */
export type ToAlone = { sallyport: 'try'; id: string }
export type FromAlone = { sallyport: 'started' } | { sallyport: 'tried'; id: string }

const isOurs = (message: unknown): boolean =>
  typeof message === 'object' && message !== null && 'sallyport' in message

export const isToWorker = (message: unknown): message is ToWorker => isOurs(message)
export const isToPrimary = (message: unknown): message is ToPrimary => isOurs(message)
export const isToAlone = (message: unknown): message is ToAlone => isOurs(message)
export const isFromAlone = (message: unknown): message is FromAlone => isOurs(message)
