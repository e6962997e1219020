// Who exists. One question, three answers; "cannot say" is never "does not exist".

/** `unavailable` is answered 451 4.4.3 to the client: the directory could not say. */
export type Existence = 'exists' | 'unknown' | 'unavailable'

export type Lookup = {
  existence: Existence
  cached: boolean
  /** For the log, where `unavailable`. */
  cause?: string
}

export type Directory = {
  /** The key below `directory` in the configuration; a metrics label. */
  name: string
  /**
   * Whether mail for this address is wanted. Settles within the directory's own deadline (10 s by default)
   * and never rejects. The address is as the client sent it.
   */
  lookup(address: string): Promise<Lookup>
  [Symbol.asyncDispose](): Promise<void>
}
