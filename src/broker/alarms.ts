import type { Clock } from '../util/clock.ts';
import type { AlarmEvent } from './amqp/broker-events.ts';
import type { NodeAlarm } from './management/management.ts';

/** A change of one alarm. */
export interface AlarmChange extends NodeAlarm {
  readonly active: boolean;
  /** How the agent noticed. Every agent lists alarms; one agent gets the event. */
  readonly source: 'event' | 'listing';
}

interface AlarmsOptions {
  readonly clock: Clock;
  readonly listAlarms: () => Promise<readonly NodeAlarm[]>;
  readonly onChange: (change: AlarmChange) => void;
}

/** The alarms of the broker that this agent knows of. */
export interface Alarms {
  /** The alarms that are set, by alarm and node. */
  readonly active: ReadonlyMap<string, NodeAlarm>;
  /** How long ago the latest listing was requested, in ms; infinite before the first one. What is older is unknown. */
  ageMs(): number;
  /** Applies an event, unless a later one of the same alarm was applied. */
  apply(event: AlarmEvent): void;
  /** Lists the alarms: events may be lost, or delivered to another agent. Rejects as `listAlarms` does. */
  refresh(): Promise<void>;
}

/** An event of one node takes precedence for this long over a listing of another one, which may not know of it, in ms. */
const EVENT_PRECEDENCE_MS = 1_000;

/** Creates the alarms, with none known. */
export function createAlarms({ clock, listAlarms, onChange }: AlarmsOptions): Alarms {
  const active = new Map<string, NodeAlarm>();
  /** The latest event of each alarm: when it happened, by the broker's clock, and arrived, by the monotonic clock. */
  const events = new Map<string, { readonly atMs: number; readonly arrivedMs: number }>();
  /** When the latest listing was requested, by the monotonic clock. */
  let listedMs = -Infinity;

  const set = (alarm: NodeAlarm, isActive: boolean, source: AlarmChange['source']): void => {
    const key = keyOf(alarm);
    if (active.has(key) === isActive) return;
    if (isActive) active.set(key, alarm);
    else active.delete(key);
    onChange({ ...alarm, active: isActive, source });
  };

  return {
    active,
    ageMs: () => clock.monotonicMs() - listedMs,
    apply(event) {
      const alarm: NodeAlarm = { alarm: event.alarm, node: event.node ?? '' };
      const key = keyOf(alarm);
      const atMs = event.atMs ?? Infinity;
      if (atMs < (events.get(key)?.atMs ?? -Infinity)) return;
      events.set(key, { atMs, arrivedMs: clock.monotonicMs() });
      set(alarm, event.type === 'alarm.set', 'event');
    },
    async refresh() {
      const requestedMs = clock.monotonicMs();
      const listed = new Map((await listAlarms()).map((alarm) => [keyOf(alarm), alarm]));
      // Of two concurrent listings the older one may arrive later.
      if (requestedMs < listedMs) return;
      listedMs = requestedMs;
      const isCurrent = (key: string): boolean =>
        requestedMs - (events.get(key)?.arrivedMs ?? -Infinity) >= EVENT_PRECEDENCE_MS;
      for (const [key, alarm] of listed) if (isCurrent(key)) set(alarm, true, 'listing');
      for (const [key, alarm] of active) {
        if (!listed.has(key) && isCurrent(key)) set(alarm, false, 'listing');
      }
    },
  };
}

function keyOf({ alarm, node }: NodeAlarm): string {
  return `${alarm} ${node}`;
}
