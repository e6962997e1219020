// One client of a run: sends messages one after the other, each until it knows what became of it.
import { setTimeout as sleep } from 'node:timers/promises'
import { connectSmtp, type Said, type SmtpClient } from '../support/client.ts'
import { type Mail, type Manner, makeMail } from './mail.ts'
import { type Random, streamOf } from './random.ts'
import type { Record, Told } from './record.ts'

const LONGEST_THOUGHT_MS = 20
const RETRY_MS = { least: 200, most: 1500 }
/** For a reply: longer than the longest hold. */
const PATIENCE_MS = 60_000

export type ClientOptions = {
  name: string
  seed: number
  /** Of each gateway: any of them will do. */
  ports: readonly number[]
  record: Record
  /** The next message's number. */
  number(): number
  /** No new message from then on. */
  enough: AbortSignal
  /** What is not known by then never will be. */
  over: AbortSignal
}

/** Sends until it has had enough, and finishes what it has begun. */
export async function runClient(options: ClientOptions): Promise<void> {
  const random = streamOf(options.seed, options.name)
  while (!options.enough.aborted) {
    const mail = makeMail(options.number(), random)
    const sure = await untilKnown(options, mail, random)
    if (sure && mail.manner === 'twice' && !options.enough.aborted)
      await untilKnown(options, mail, random)
    await sleep(random.between(0, LONGEST_THOUGHT_MS))
  }
}

/**
 * Tries until it is acknowledged or refused, with the same content each time. Answers whether both sides know that it is
 * acknowledged: sent once more, it then is another message.
 */
async function untilKnown(options: ClientOptions, mail: Mail, random: Random): Promise<boolean> {
  const { record } = options
  const kept = record.meant(mail)
  kept.unknown = true
  let { manner } = mail
  while (!options.over.aborted) {
    const { told, recipients, sure } = await once(random.pick(options.ports), mail, manner, random)
    record.told[told]++
    if (told === 'acknowledged' || told === 'refused') {
      kept.unknown = false
      for (const address of recipients) {
        const one = kept.recipients.get(address)
        if (one) one[told]++
      }
      return sure
    }
    if (manner === 'gives-up') return false
    manner = 'plain'
    await sleep(random.between(RETRY_MS.least, RETRY_MS.most))
  }
  return false
}

type Try = { told: Told; recipients: string[]; sure: boolean }
const NOTHING: Try = { told: 'nothing', recipients: [], sure: false }

async function once(port: number, mail: Mail, manner: Manner, random: Random): Promise<Try> {
  let client: SmtpClient | undefined
  try {
    client = await connectSmtp({ port, patienceMs: PATIENCE_MS })
    return await converse(client, mail, manner, random)
  } catch {
    return NOTHING
  } finally {
    client?.socket().destroy()
  }
}

async function converse(
  client: SmtpClient,
  mail: Mail,
  manner: Manner,
  random: Random,
): Promise<Try> {
  const told = (said: Said): Told =>
    said.code < 300 ? 'acknowledged' : said.code < 500 ? 'deferred' : 'refused'
  const recipients: string[] = []
  await client.command('EHLO client.test')
  const from = await client.command(`MAIL FROM:<${mail.from}>`)
  if (from.code !== 250) return { told: told(from), recipients: mail.to, sure: false }
  for (const address of mail.to) {
    const said = await client.command(`RCPT TO:<${address}>`)
    // All or nobody: a retry for the rest alone would be another message to the gateway.
    if (said.code !== 250) return { told: told(said), recipients: [address], sure: false }
    recipients.push(address)
  }
  const data = await client.command('DATA')
  if (data.code !== 354) return { told: told(data), recipients, sure: false }
  if (manner === 'vanishes-in-data') {
    await client.write(mail.content.subarray(0, random.between(1, mail.content.length - 1)))
    client.reset()
    return NOTHING
  }
  await client.writeContent(mail.content)
  if (manner === 'vanishes-after-dot' || manner === 'gives-up') {
    await sleep(random.between(0, 1500))
    client.reset()
    return NOTHING
  }
  const said = await client.read()
  // A 250 read is an acknowledgement, whatever becomes of the good-bye.
  const bye = await client.quit().catch(() => undefined)
  return { told: told(said), recipients, sure: said.code === 250 && bye?.code === 221 }
}
