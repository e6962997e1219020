// Messages on disk for the scanners' tests.
import type { KeyObject } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { dkimSign } from 'mailauth'
import type { Envelope, Message } from '../../../gateway/message.ts'
import { type Folder, temporaryFolder } from '../../support/process.ts'

export type Messages = {
  write(content: Buffer, envelope?: Partial<Envelope>): Promise<Message>
} & Folder

export const envelopeOf = (parts: Partial<Envelope> = {}): Envelope => ({
  id: 'test-1',
  receivedAt: 1_700_000_000_000,
  client: { address: '192.0.2.1', port: 25_000, helo: 'mail.sender.test' },
  reversePath: 'alice@sender.test',
  recipients: [{ address: 'bob@example.org', domain: 'example.org' }],
  eightBit: false,
  smtpUtf8: false,
  sizeBytes: 0,
  sha256: '0'.repeat(64),
  kind: 'mail',
  fingerprint: 'f',
  ...parts,
})

export async function messages(): Promise<Messages> {
  const folder = await temporaryFolder('scan')
  let count = 0
  return {
    ...folder,
    async write(content, envelope = {}) {
      const file = path.join(folder.path, `${++count}.eml`)
      await writeFile(file, content)
      return {
        envelope: envelopeOf({ sizeBytes: content.length, ...envelope }),
        content: { path: file, sizeBytes: content.length },
      }
    },
  }
}

/** A DKIM-Signature field, selector `s1`, to put before the content. */
export async function signatureOf(
  content: Buffer,
  signingDomain: string,
  key: KeyObject,
): Promise<Buffer> {
  const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString()
  const signer = { signingDomain, selector: 's1', privateKey }
  // Its types want the signer at the top, its code only in the list.
  const { signatures } = await dkimSign(content, { ...signer, signatureData: [signer] } as never)
  return Buffer.from(signatures)
}
