import { type Alarms, createAlarms } from '../broker/alarms.ts';
import type { BrokerEvent } from '../broker/amqp/broker-events.ts';
import { consumeBrokerEvents } from '../broker/amqp/broker-events-consumer.ts';
import type { BindingRemover } from '../broker/foreign-bindings.ts';
import type { Management } from '../broker/management/management.ts';
import type { Clock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { contractNames } from '../contract/names.ts';
import { createBrokerEventReactions, type QueueWatch } from '../jobs/broker-event-reactions.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { createRepairBurst } from '../jobs/repair-burst.ts';
import type { Log } from '../util/log.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import type { BackgroundTasks } from './background.ts';
import type { Reporters } from './reporters.ts';

/** What {@link startBrokerWatch} works with. */
export interface BrokerWatchParts {
  readonly config: Config;
  readonly management: Management;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Pick<AgentEvents, 'emit'>;
  readonly jobs: Jobs;
  readonly bindings: Pick<BindingRemover, 'remove'>;
  readonly reporters: Pick<Reporters, 'foreignBindingRemoved' | 'foreignBindingNotRemoved'>;
  readonly queues: QueueWatch;
  /** Is told of each event that was taken. */
  readonly onEvent?: (event: BrokerEvent) => void;
  readonly background: Pick<BackgroundTasks, 'run'>;
  /** Compares the accounts of all namespaces with the store. */
  readonly compare: (signal: AbortSignal) => Promise<unknown>;
  /** Compares everything, as events may have been lost. */
  readonly lookAtAll: () => void;
}

/** Watching what happens on the broker. */
export interface BrokerWatch {
  readonly alarms: Pick<Alarms, 'active' | 'refresh'>;
  /** Whether events come now. */
  readonly flowing: boolean;
  close(): Promise<void>;
}

/**
 * Reacts to the broker's own events for as long as it is not closed: they say when to look. Without them the agent lives
 * on its regular comparisons, and says so. Resolves when the first try to consume them is over.
 */
export async function startBrokerWatch(parts: BrokerWatchParts): Promise<BrokerWatch> {
  const { config, management, clock, log, events, jobs, bindings, queues, background } = parts;
  const alarms = createAlarms({
    clock,
    listAlarms: () => management.listAlarms(),
    onChange({ alarm, node, active, source }) {
      // First the log: during an alarm the connection that publishes events is blocked.
      const told = { alarm, node, active };
      if (active)
        log.error({ code: 'alarm_set', ...told }, 'RabbitMQ raised an alarm and accepts no messages until it clears');
      else log.info({ code: 'alarm_cleared', ...told }, 'RabbitMQ cleared an alarm');
      // Every agent lists, and one of them got the event.
      if (source === 'event') events.emit('broker.alarm', { alarm, ...(node === '' ? {} : { node }), active });
    },
  });
  const refreshAlarms = (): void => {
    alarms
      .refresh()
      .catch((error: unknown) =>
        log.warn({ code: 'alarms_not_listed', err: error }, 'could not list the alarms of RabbitMQ'),
      );
  };
  const react = createBrokerEventReactions({
    settings: { ...config, ownUsers: ownUsersOf(config) },
    repair: createRepairBurst({
      clock,
      log,
      repair: (namespace) => jobs.trigger('repair-account', namespace),
      compare: async (signal) => void (await parts.compare(signal)),
      inBackground: (work) => background.run('comparing the broker with the store', work),
    }),
    alarms,
    bindings,
    queues,
    reporters: parts.reporters,
  });
  const watch = await consumeBrokerEvents({
    amqpUrl: config.rabbitmqUrl,
    ca: config.rabbitmqCa,
    id: config.id,
    eventVhost: config.eventVhost,
    management,
    onEvent(event) {
      parts.onEvent?.(event);
      return react(event);
    },
    onFlowing() {
      log.info({ code: 'broker_events_started', eventVhost: config.eventVhost }, 'consuming broker events');
      refreshAlarms();
      parts.lookAtAll();
    },
    onMissing(error) {
      log.error(
        { code: 'broker_events_unavailable', err: error },
        'broker events unavailable; external changes are detected only by periodic reconciliation',
      );
      refreshAlarms();
    },
    onFault: (error) =>
      log.warn({ code: 'broker_events_error', err: error }, 'not consuming broker events; will retry'),
  });
  return {
    alarms,
    get flowing() {
      return watch.flowing;
    },
    close: () => watch.close(),
  };
}

/** What the agent's own users do is meant. */
function ownUsersOf(config: Config): ReadonlySet<string> {
  const urls = [config.rabbitmqUrl, config.rabbitmqManagementUrl].map((secret) => new URL(secret.reveal()));
  return new Set([...urls.map(({ username }) => decodeURIComponent(username)), contractNames(config.id).claimantUser]);
}
