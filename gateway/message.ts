// The nouns of the journey: who sent it, to whom, and where its content lies. Imports nothing of ours.

/** The SMTP client as it presented itself. */
export type Client = {
  /** IP address, IPv4 or IPv6, without brackets; IPv4-mapped addresses are written as IPv4. */
  address: string
  port: number
  /** What it said in HELO or EHLO, as received. */
  helo: string
  tls?: { version: string; cipher: string }
}

/** An accepted recipient (RFC 5321 §3.3). `address` is byte-equal to what the client sent and the next hop gets. */
export type Recipient = {
  address: string
  /** The domain after the last @: lower case, A-labels; the key into `domains` of the configuration. */
  domain: string
}

/** RFC 5321 §2.3.1, with what is needed to take the journey up again from disk. Never changed once made. */
export type Envelope = {
  id: string
  /** Milliseconds since the epoch at which MAIL was accepted. */
  receivedAt: number
  client: Client
  /** Empty for the null reverse-path. */
  reversePath: string
  recipients: Recipient[]
  /** BODY=8BITMIME was declared, or the content holds octets above 127. */
  eightBit: boolean
  /** The SMTPUTF8 keyword was given at MAIL (RFC 6531). */
  smtpUtf8: boolean
  sizeBytes: number
  /** Lower-case hex of the content as it lies in the spool. */
  sha256: string
  /** A DSN of ours goes to `notifications.nextHop`, is not scanned, and never causes another DSN. */
  kind: 'mail' | 'notification'
  /** Names the client's network, reverse-path and content (not the recipients), so that a client's retry can be recognised. */
  fingerprint: string
}

/** The octets of a message in the spool: CRLF line ends throughout, no bare CR or LF, no NUL. */
export type Content = {
  path: string
  sizeBytes: number
  /** All of it, where it is small and has been read already. */
  octets?: Buffer
}

export type Message = {
  envelope: Envelope
  content: Content
}
