// Filters as administrators write them: read once, refused with a reason, and matched by a real server as meant.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createLdapDirectory, ldapSettings } from '../../../../policies/directory/ldap.ts'
import { FilterError, parseFilter } from '../../../../policies/directory/ldap-filter.ts'
import { type Entry, person, type Slapd, startSlapd } from '../../../support/servers/slapd.ts'

const WRONG: [string, RegExp][] = [
  ['', /"\(" expected at 1/],
  ['mail=%a', /"\(" expected at 1/],
  ['(mail=%a', /"\)" expected/],
  ['(mail=%a))', /unexpected "\)" at 10/],
  ['(&(mail=%a)', /"\)" expected at 12/],
  ['(&)', /nothing inside "\(&"/],
  ['(|)', /nothing inside "\(\|"/],
  ['(!)', /"\(" expected at 3/],
  ['(!(a=b)(c=d))', /"\)" expected at 8/],
  ['(=%a)', /"attribute=value" expected/],
  ['(mail)', /"attribute=value" expected/],
  ['(mail=)', /no value/],
  ['(mail=(x)', /write \\28/],
  ['(m ail=%a)', /"m ail" at 2 is not an attribute/],
  ['(mail=a**b)', /nothing between its stars/],
  ['(mail=%x)', /write %a, %u, %d, or %%/],
  ['(mail=100%)', /write %a, %u, %d, or %%/],
  ['(mail=\\2)', /two hex digits/],
  ['(mail=\\zz)', /two hex digits/],
  ['(mail=\\ff)', /not UTF-8/],
  ['(:=x)', /neither attribute nor rule/],
  ['(a:b:c:=x)', /not an extensible match/],
  [`${'(!'.repeat(40)}(a=b)${')'.repeat(40)}`, /nested deeper than 32/],
  [`(mail=${'a'.repeat(9000)})`, /longer than/],
]

for (const [filter, reason] of WRONG) {
  test(`${filter.slice(0, 40)} is refused`, () => {
    assert.throws(
      () => parseFilter(filter),
      (error: unknown) => error instanceof FilterError && reason.test(error.message),
    )
  })
}

const DISABLED = '2'
const ENABLED = '512'
const aux = (name: string) => ({ objectClass: ['inetOrgPerson', name] })
const ENTRIES: Entry[] = [
  person('anna', 'anna@example.org', { description: ['star * (here) \\', '100%'] }),
  person('ad', 'ad@example.org', {
    ...aux('adUser'),
    proxyAddresses: ['SMTP:Ad@example.org', 'smtp:second@example.org', 'X400:c=DE'],
    userAccountControl: ENABLED,
  }),
  person('ad-off', 'ad-off@example.org', { ...aux('adUser'), userAccountControl: DISABLED }),
  person('qmail', 'qmail@example.org', {
    ...aux('qmailUser'),
    mailAlternateAddress: 'alias@example.org',
    accountStatus: 'active',
  }),
  person('no-access', 'no-access@example.org', { ...aux('qmailUser'), accountStatus: 'noaccess' }),
  person('off', 'off@example.org', { ...aux('qmailUser'), accountStatus: 'disabled' }),
  person('gone', 'gone@example.org', { ...aux('qmailUser'), accountStatus: 'deleted' }),
  person('courier', 'courier@example.org', aux('CourierMailAccount')),
  person('list', 'list@example.org', {
    ...aux('CourierMailAlias'),
    maildrop: ['anna@example.org', 'inner@example.org'],
  }),
]

/** The rule by which Active Directory, and slapd too, compares bits. */
const ENABLED_ONLY =
  '(&(mail=%a)(!(userAccountControl:1.2.840.113556.1.4.803:=2))(objectClass=inetOrgPerson))'

/** Settings, who must exist, who must not. */
const MATCHED: [object, string[], string[]][] = [
  [{}, ['anna', 'ad', 'qmail'], ['second', 'alias', 'inner']],
  [{ schema: 'activeDirectory' }, ['ad', 'second', 'SECOND', 'anna'], ['alias', 'x400']],
  [{ schema: 'qmailLdap' }, ['qmail', 'alias', 'no-access', 'anna'], ['off', 'gone', 'second']],
  [{ schema: 'courier' }, ['courier', 'list', 'anna'], ['inner', 'second']],
  [{ filter: '(uid=%u)' }, ['anna', 'ad-off'], ['second', '*', 'an*']],
  [{ filter: '(&(uid=%u)(mail=*@%d))' }, ['anna'], ['second']],
  [{ filter: '(mail=a*%a)' }, [], ['anna', 'ad']],
  [{ filter: '(mail=%u@*.org)' }, ['anna', 'ad'], ['second']],
  [{ filter: ' (& ( mail=%a) )'.replace('( m', '(m') }, ['anna'], ['second']],
  [{ filter: '(&(mail=%a)(description=*\\2a \\28here\\29*))' }, ['anna'], ['ad']],
  [{ filter: '(&(mail=%a)(description=star \\2a \\28here\\29 \\5c))' }, ['anna'], ['ad']],
  [{ filter: '(&(mail=%a)(description=100%%))' }, ['anna'], ['ad']],
  [{ filter: '(&(mail=%a)(userAccountControl=*))' }, ['ad', 'ad-off'], ['anna']],
  [{ filter: '(&(mail=%a)(userAccountControl>=100))' }, [], ['anna']],
  [{ filter: '(&(mail=%a)(mail:caseIgnoreIA5Match:=%a))' }, ['anna'], ['second']],
  [{ filter: '(|(mail=%a)(undefinedAttribute=%a))' }, ['anna'], ['second']],
  [{ filter: ENABLED_ONLY }, ['ad'], ['ad-off', 'second']],
  [{ filter: '(mail~=%a)' }, ['anna'], ['second']],
]

describe('matched by slapd', () => {
  let slapd: Slapd
  before(async () => {
    slapd = await startSlapd({ entries: ENTRIES })
  })
  after(() => slapd[Symbol.asyncDispose]())

  for (const [more, exist, unknown] of MATCHED) {
    test(JSON.stringify(more), async () => {
      const settings = ldapSettings.parse({ urls: [slapd.url], base: slapd.base, ...more })
      await using directory = await createLdapDirectory('d', settings)
      for (const [users, expected] of [
        [exist, 'exists'],
        [unknown, 'unknown'],
      ] as const) {
        for (const user of users) {
          const lookup = await directory.lookup(`${user}@example.org`)
          assert.equal(lookup.existence, expected, `${user}: ${lookup.cause}`)
        }
      }
    })
  }

  test('%u and %d of an address without a domain match nobody, and everything is still well', async () => {
    const settings = ldapSettings.parse({
      urls: [slapd.url],
      base: slapd.base,
      filter: '(|(mail=%d)(mail=*@%d)(mail=%d*))',
    })
    await using directory = await createLdapDirectory('d', settings)
    assert.equal((await directory.lookup('anna')).existence, 'unknown')
  })
})
