import type { Clock } from '../util/clock.ts';
import type { AlarmEvent } from './amqp/broker-events.ts';
import type { NodeAlarm } from './management/management.ts';

/** A change of one alarm. */
export interface AlarmChange extends NodeAlarm {
  readonly active: boolean;
  /** How it became known. Every agent lists; an event comes to one of them. */
  readonly source: 'event' | 'listing';
}

/** What {@link createAlarms} needs. */
export interface AlarmsOptions {
  readonly clock: Clock;
  readonly listAlarms: () => Promise<readonly NodeAlarm[]>;
  readonly onChange: (change: AlarmChange) => void;
}

/** Which alarms of the broker are set, as far as this agent knows. */
export interface Alarms {
  /** By alarm and node. */
  readonly active: ReadonlyMap<string, NodeAlarm>;
  /** Takes an event. One older than the last of the same alarm, or told before, changes nothing. */
  apply(event: AlarmEvent): void;
  /**
   * Lists the alarms, as events may be lost and another agent may have got them. Rejects as `listAlarms` does.
   */
  refresh(): Promise<void>;
}

/** The listing lags by five seconds: an event that is younger knows better. In ms. */
const LISTING_LAG_MS = 10_000;

/** Starts without alarms. */
export function createAlarms({ clock, listAlarms, onChange }: AlarmsOptions): Alarms {
  const active = new Map<string, NodeAlarm>();
  /** When the last event of each alarm happened, by the broker's clock, and came, by ours. */
  const events = new Map<string, { readonly atMs: number; readonly cameMs: number }>();

  const set = (alarm: NodeAlarm, isActive: boolean, source: AlarmChange['source']): void => {
    const key = keyOf(alarm);
    if (active.has(key) === isActive) return;
    if (isActive) active.set(key, alarm);
    else active.delete(key);
    onChange({ ...alarm, active: isActive, source });
  };

  return {
    active,
    apply(event) {
      const alarm: NodeAlarm = { alarm: event.alarm, node: event.node ?? '' };
      const key = keyOf(alarm);
      const atMs = event.atMs ?? Infinity;
      if (atMs < (events.get(key)?.atMs ?? -Infinity)) return;
      events.set(key, { atMs, cameMs: clock.monotonicMs() });
      set(alarm, event.type === 'alarm.set', 'event');
    },
    async refresh() {
      const askedMs = clock.monotonicMs();
      const listed = new Map((await listAlarms()).map((alarm) => [keyOf(alarm), alarm]));
      const settled = (key: string): boolean => askedMs - (events.get(key)?.cameMs ?? -Infinity) > LISTING_LAG_MS;
      for (const [key, alarm] of listed) if (settled(key)) set(alarm, true, 'listing');
      for (const [key, alarm] of active) {
        if (!listed.has(key) && settled(key)) set(alarm, false, 'listing');
      }
    },
  };
}

function keyOf({ alarm, node }: NodeAlarm): string {
  return `${alarm} ${node}`;
}
