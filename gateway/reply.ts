// SMTP replies as values. The client reads generic words; the cause goes to the log. Imports nothing of ours.

/** One SMTP reply (RFC 5321 §4.2) with its enhanced status code (RFC 3463). */
export type Reply = {
  /** 2xx, 4xx or 5xx. 421 also closes the connection. */
  code: number
  /** `class.subject.detail`, its class equal to the first digit of `code`. */
  enhanced: string
  /** One line of printable ASCII, at most 400 octets, without the codes. */
  text: string
}

export const reply = (code: number, enhanced: string, text: string): Reply => ({
  code,
  enhanced,
  text,
})

export const isPermanent = (r: Reply): boolean => r.code >= 500
export const isTransient = (r: Reply): boolean => r.code >= 400 && r.code < 500

/** The text after the code, ending with the message id where there is one: `5.1.1 No such user [id]`. */
export const replyText = (r: Reply, id?: string): string =>
  `${r.enhanced} ${r.text}${id === undefined ? '' : ` [${id}]`}`
