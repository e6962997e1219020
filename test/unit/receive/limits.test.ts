// Who may come in, and what a session may waste.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  Budget,
  clientKey,
  createDoor,
  IDLE_COMMANDS,
  networks,
  plainAddress,
  TRANSIENT_REFUSALS,
} from '../../../gateway/receive/limits.ts'

describe('limits', () => {
  it('knows networks of both families, and mapped addresses', () => {
    const inside = networks(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'])
    assert.ok(inside('10.255.0.1'))
    assert.ok(inside('::ffff:10.0.0.1'))
    assert.ok(inside('192.0.2.1'))
    assert.ok(inside('2001:db8:1::1'))
    assert.ok(!inside('192.0.2.2'))
    assert.ok(!inside('2001:db9::1'))
    assert.ok(!inside('not an address'))
    assert.throws(() => networks(['10.0.0.0/33']))
    assert.throws(() => networks(['example.org']))
  })

  it('writes mapped addresses as IPv4', () => {
    assert.equal(plainAddress('::ffff:1.2.3.4'), '1.2.3.4')
    assert.equal(plainAddress('::1'), '::1')
  })

  it('counts an IPv6 client by its /64', () => {
    assert.equal(clientKey('2001:db8:0:1::1'), clientKey('2001:db8:0:1:ffff:ffff::2'))
    assert.notEqual(clientKey('2001:db8:0:1::1'), clientKey('2001:db8:0:2::1'))
    assert.equal(clientKey('::1'), '0:0:0:0')
    assert.equal(clientKey('192.0.2.1'), '192.0.2.1')
  })

  it('lets in as many as are allowed, in all and from each', () => {
    const limits = { connections: 4, connectionsPerClient: 2 }
    const door = createDoor(() => limits, networks(['127.0.0.0/8']))
    assert.equal(door.enter('192.0.2.1'), undefined)
    assert.equal(door.enter('192.0.2.1'), undefined)
    assert.equal(door.enter('192.0.2.1'), 'per-client')
    door.leave('192.0.2.1')
    assert.equal(door.enter('192.0.2.1'), undefined)
    assert.equal(door.enter('192.0.2.2'), undefined)
    assert.equal(door.enter('192.0.2.3'), undefined)
    assert.equal(door.enter('192.0.2.4'), 'total')
    assert.equal(door.enter('127.0.0.1'), 'total')
    limits.connections = 100
    for (let i = 0; i < 10; i++) assert.equal(door.enter('127.0.0.1'), undefined)
    assert.equal(door.count, 14)
  })

  it('forgives what an accepted message makes up for', () => {
    const budget = new Budget()
    for (let i = 0; i < 3; i++) budget.refused(550)
    assert.equal(budget.exceeded(3), 'errors')
    budget.accepted()
    assert.equal(budget.exceeded(3), undefined)
    for (let i = 0; i < TRANSIENT_REFUSALS; i++) {
      assert.equal(budget.exceeded(3), undefined)
      budget.refused(452)
    }
    assert.equal(budget.exceeded(3), 'errors')
    const idle = new Budget()
    for (let i = 0; i < IDLE_COMMANDS; i++) idle.idled()
    assert.equal(idle.exceeded(3), undefined)
    idle.idled()
    assert.equal(idle.exceeded(3), 'idle-commands')
  })
})
