// Times and limits that must fit one another.
import type { Check } from './check.ts'
import { checkNetworks } from './listeners.ts'

/** RFC 5321 §4.5.3.1.7: no server should take less. */
const LEAST_SIZE = 65_536
/** RFC 5321 §4.5.3.1.8. */
const LEAST_RECIPIENTS = 100

export const checkRetry: Check = ({ retry }, { findings }) => {
  if (!retry) return
  if (retry.first > retry.longest) {
    const mend = 'write a `longest` that is not below `first`'
    findings.fault(['retry', 'longest'], 'the longest wait is shorter than the first', mend)
  }
  if (retry.longest > retry.expire) {
    const mend = 'write an `expire` that is not below `longest`'
    findings.fault(['retry', 'expire'], 'mail would expire before its longest wait is over', mend)
  }
}

export const checkHold: Check = ({ hold, scanners }, { findings }) => {
  if (!hold || hold.seconds === 0) return
  const { icap = {}, command = {}, ...single } = scanners ?? {}
  const all = [single, icap, command].flatMap(each => Object.entries(each))
  for (const [name, settings] of all) {
    if (typeof settings !== 'object' || settings.deadlineMs <= hold.seconds * 1000) continue
    const problem = `a client waits ${hold.seconds} s, but ${name} may take ${settings.deadlineMs} ms`
    findings.warn(['hold', 'seconds'], problem, 'raise it, or lower the `deadlineMs`')
  }
}

export const checkLimits: Check = (settings, context) => {
  const { limits, maxMessageSize } = settings
  checkNetworks(limits?.exempt ?? [], ['limits', 'exempt'], context)
  if (maxMessageSize !== undefined && maxMessageSize < LEAST_SIZE) {
    const problem = 'is less than RFC 5321 §4.5.3.1.7 lets clients rely on'
    context.findings.warn(['maxMessageSize'], problem, 'write 64KiB or more')
  }
  if (limits && limits.recipients < LEAST_RECIPIENTS) {
    const problem = 'is less than RFC 5321 §4.5.3.1.8 lets clients rely on'
    context.findings.warn(['limits', 'recipients'], problem, 'write 100 or more')
  }
  if (limits && limits.connectionsPerClient > limits.connections) {
    const mend = 'write less than `connections`'
    const path = ['limits', 'connectionsPerClient']
    context.findings.warn(path, 'one client may take every connection', mend)
  }
}
