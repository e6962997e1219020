// The mail the demo sends, one row each: what it is, what the client must hear, and where it must end up.
import { randomBytes } from 'node:crypto'
import { type Mail, type Said, type Sent, sendMail } from '../../test/support/client.ts'
import {
  attachment,
  eicarMessage,
  eicarZipMessage,
  gtubeMessage,
  plainMessage,
} from '../../test/support/eicar.ts'
import type { MaildirSink } from './maildir-sink.ts'

export type Row = {
  what: string
  to: string[]
  content: Buffer
  /** The codes the client must hear: one for each recipient, then the dot's where it gets that far. */
  hears: string[]
  /** The users it must reach; nobody else may. */
  reaches: string[]
}

export type Result = {
  what: string
  replies: string[]
  tookMs: number
  place: string
  ok: boolean
}

const subject = (text: string, number: number) => ({
  from: 'alice@sender.test',
  to: 'bob@example.org',
  subject: text,
  id: `demo-${number}@sender.test`,
})

export const rows = (): Row[] => [
  {
    what: 'clean mail, over STARTTLS',
    to: ['bob@example.org'],
    content: plainMessage(subject('Lunch today', 1)),
    hears: ['250 2.1.5', '250'],
    reaches: ['bob'],
  },
  {
    what: 'EICAR as an attachment',
    to: ['bob@example.org'],
    content: eicarMessage(subject('Your invoice', 2)),
    hears: ['250 2.1.5', '550 5.7.1'],
    reaches: [],
  },
  {
    what: 'EICAR in a zip',
    to: ['bob@example.org'],
    content: eicarZipMessage(subject('Your invoice again', 3)),
    hears: ['250 2.1.5', '550 5.7.1'],
    reaches: [],
  },
  {
    what: 'spam (GTUBE)',
    to: ['bob@example.org'],
    content: gtubeMessage(subject('Buy now', 4)),
    hears: ['250 2.1.5', '550 5.7.1'],
    reaches: [],
  },
  {
    what: 'unknown recipient',
    to: ['nobody@example.org'],
    content: plainMessage(subject('Anybody there', 5)),
    hears: ['550 5.1.1'],
    reaches: [],
  },
  {
    what: 'foreign domain',
    to: ['somebody@elsewhere.test'],
    content: plainMessage(subject('Pass this on', 6)),
    hears: ['550 5.7.1'],
    reaches: [],
  },
  {
    what: 'two users, one unknown',
    to: ['carol@example.org', 'nobody@example.org'],
    content: plainMessage(subject('To the two of you', 7)),
    hears: ['250 2.1.5', '550 5.1.1', '250'],
    reaches: ['carol'],
  },
  {
    what: 'a 20 MB attachment',
    to: ['bob@example.org'],
    content: attachment(subject('Holiday pictures', 8), 'photos.bin', randomBytes(20_000_000)),
    hears: ['250 2.1.5', '250'],
    reaches: ['bob'],
  },
]

const told = (said: Said): string => `${said.code} ${said.enhanced} ${said.text}`.trim()
const heard = (sent: Sent): Said[] =>
  [sent.mail.code >= 400 ? sent.mail : undefined, ...sent.recipients, sent.data, sent.dot].filter(
    said => said !== undefined,
  )

/** How many fields were put on top of what was sent; undefined where the rest is not identical. */
function fieldsAdded(received: Buffer, sent: Buffer): number | undefined {
  const at = received.length - sent.length
  if (at < 0 || !received.subarray(at).equals(sent)) return undefined
  return received.toString('latin1', 0, at).split(/\r\n(?![ \t])/).length - 1
}

/** Sends one row and looks into the mailboxes. Custody is given 10 s to become delivery. */
export async function run(row: Row, port: number, sink: MaildirSink): Promise<Result> {
  const mail: Mail = {
    port,
    from: 'alice@sender.test',
    to: row.to,
    content: row.content,
    helo: 'mail.sender.test',
    starttls: true,
  }
  const started = performance.now()
  const sent = await sendMail(mail)
  const tookMs = Math.round(performance.now() - started)
  const replies = heard(sent)
  const asTold =
    replies.length === row.hears.length &&
    replies.every((said, i) => told(said).startsWith(row.hears[i] ?? ''))
  const found = await mailboxesWith(row, sink)
  const same = found.every(copy => copy.added !== undefined)
  const reached = found.map(copy => copy.user).sort()
  const place = found.map(
    ({ user, added }) =>
      `${user}'s mailbox, ${added === undefined ? 'CHANGED' : `identical below ${added} added fields`}`,
  )
  return {
    what: row.what,
    replies: replies.map(told),
    tookMs,
    place: place.join('; ') || 'nowhere: still with its sender',
    ok: asTold && same && reached.join() === [...row.reaches].sort().join(),
  }
}

async function mailboxesWith(row: Row, sink: MaildirSink) {
  const id = /^Message-ID: (\S+)/im.exec(row.content.toString('latin1', 0, 2000))?.[1] ?? ''
  const end = Date.now() + (row.reaches.length > 0 ? 10_000 : 300)
  for (;;) {
    const found: { user: string; added: number | undefined }[] = []
    for (const user of ['bob', 'carol', 'nobody', 'somebody'])
      for (const content of await sink.mailOf(user))
        if (content.subarray(0, 20_000).includes(id))
          found.push({ user, added: fieldsAdded(content, row.content) })
    if (row.reaches.length > 0 && found.length >= row.reaches.length) return found
    if (Date.now() > end) return found
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
