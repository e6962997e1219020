// A process that takes one message into custody and ends custody again, for a test that watches its system calls.
import { writeFile } from 'node:fs/promises'
import { ownIdentity } from '../../gateway/spool/identity.ts'
import { createSpool } from '../../gateway/spool/spool.ts'
import { envelopeOf } from './order.ts'

const [, , folder = '', id = ''] = process.argv
const spool = await createSpool({ folder, identity: ownIdentity(), corrupted: () => undefined })
await writeFile(spool.contentPath(id), 'Subject: x\r\n\r\n')
await spool.append(id, [{ kind: 'end', at: 1, recipient: 'a@example.org', end: 'relayed' }])
await spool.takeCustody(envelopeOf({ id }))
for (const recipient of ['b@example.org', 'c@example.org'])
  await spool.append(id, [{ kind: 'end', at: 1, recipient, end: 'relayed' }])
await spool.endCustody(id, false)
spool[Symbol.dispose]()
