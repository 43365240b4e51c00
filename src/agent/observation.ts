import type { BrokerEvent } from '../broker/amqp/broker-events.ts';
import type { Management } from '../broker/management/management.ts';
import type { Clock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import type { EventType } from '../contract/event-types.ts';
import type { RecurringJob, TriggeredJob } from '../jobs/jobs.ts';
import type { SchedulerObserver } from '../jobs/scheduler-observer.ts';
import type { Log } from '../util/log.ts';
import type { HealthCheck, PartName } from '../observe/health.ts';
import type { TaskclusterAuth } from '../requests/taskcluster-auth.ts';
import type { Store } from '../store/store.ts';
import { startObservation } from './observe-parts.ts';

/** What {@link openObservation} works with. */
export interface ObservationSettings {
  readonly config: Pick<Config, 'httpHost' | 'httpPort' | 'id'>;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** The alarms of the broker, as far as this agent knows. */
export interface WatchedAlarms {
  readonly active: ReadonlyMap<string, { readonly alarm: string; readonly node: string }>;
  /** Lists them anew. */
  refresh(): Promise<void>;
}

/**
 * Health and metrics of one agent, seen from where its parts are put together: each part that can fail goes through here
 * once and comes back measured.
 */
export interface Observation {
  /** Where health and metrics are served; undefined: nowhere. */
  readonly port: number | undefined;
  readonly management: (management: Management) => Management;
  readonly store: (store: Store) => Store;
  readonly authenticator: (authenticator: TaskclusterAuth) => TaskclusterAuth;
  readonly recurring: (jobs: readonly RecurringJob[]) => readonly RecurringJob[];
  readonly triggered: (jobs: readonly TriggeredJob[]) => readonly TriggeredJob[];
  readonly schedule: SchedulerObserver;
  /** A request was served. */
  readonly onServed: (method: string, outcome: string, durationMs: number) => void;
  /** An event of the broker was taken. */
  readonly onBrokerEvent: (event: BrokerEvent) => void;
  /** The agent publishes an event. */
  readonly onAgentEvent: (type: EventType) => void;
  /** What a recurring job does was done outside of its turn. */
  readonly onSuccess: (job: string) => void;
  /** The part is as `look` says from now on. */
  readonly watch: (part: PartName, look: () => HealthCheck) => void;
  /** The alarms are these from now on. */
  readonly watchAlarms: (alarms: WatchedAlarms) => void;
  /** The agent begins to stop. */
  readonly stop: () => void;
  readonly close: () => Promise<void>;
}

/**
 * Begins to serve health and metrics where they are configured. It comes first of all parts, so that a start that hangs
 * can be asked what it waits for.
 *
 * @throws AgentError `ConfigurationFault` when nobody can listen there.
 */
export async function openObservation(settings: ObservationSettings): Promise<Observation> {
  const { httpPort } = settings.config;
  return httpPort === null ? UNOBSERVED : await startObservation(settings, httpPort);
}

const nothing = (): void => undefined;

const UNOBSERVED: Observation = {
  port: undefined,
  management: (management) => management,
  store: (store) => store,
  authenticator: (authenticator) => authenticator,
  recurring: (jobs) => jobs,
  triggered: (jobs) => jobs,
  schedule: { looked: nothing, began: nothing },
  onServed: nothing,
  onBrokerEvent: nothing,
  onAgentEvent: nothing,
  onSuccess: nothing,
  watch: nothing,
  watchAlarms: nothing,
  stop: nothing,
  close: async () => undefined,
};
