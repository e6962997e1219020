// An Events that remembers what it was told, for tests to look at.
import type { Events } from '../../gateway/observe/events.ts'

export type Told = { event: keyof Events; detail: Record<string, unknown> }
export type RecordedEvents = Events & { told: Told[]; of(event: keyof Events): Told['detail'][] }

export function recordEvents(): RecordedEvents {
  const told: Told[] = []
  const of = (event: keyof Events) => told.filter(t => t.event === event).map(t => t.detail)
  return new Proxy({ told, of } as RecordedEvents, {
    get(target, name) {
      if (name === 'told' || name === 'of') return Reflect.get(target, name)
      return (detail: Record<string, unknown>) => {
        told.push({ event: name as keyof Events, detail })
      }
    },
  })
}
