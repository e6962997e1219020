// A process that takes several messages into custody at the same moment, for a test that watches its system calls.
import { unlinkSync, writeFileSync } from 'node:fs'
import { ownIdentity } from '../../gateway/spool/identity.ts'
import { createSpool } from '../../gateway/spool/spool.ts'
import { envelopeOf } from './order.ts'

const [, , folder = '', ...ids] = process.argv
const spool = await createSpool({ folder, identity: ownIdentity(), corrupted: () => undefined })
for (const id of ids) {
  writeFileSync(spool.contentPath(id), 'Subject: x\r\n\r\n')
  writeFileSync(spool.incomingPath(`${id}.unsaid`), '')
}
await Promise.all(
  ids.map(async (id, i) => {
    await new Promise(resolve => setTimeout(resolve, i % 4))
    await spool.takeCustody(envelopeOf({ id }))
    // Stands for the 250.
    unlinkSync(spool.incomingPath(`${id}.unsaid`))
  }),
)
spool[Symbol.dispose]()
