import { parseHttpUrls } from '../contract/url.ts';
import { type Alarms, createAlarms } from '../broker/alarms.ts';
import type { BrokerEvent } from '../broker/amqp/broker-events.ts';
import { type ProofView, SILENCE_CURE } from '../broker/event-proof.ts';
import type { HealthCheck } from '../observe/health.ts';
import { createBrokerEventsConsumer } from '../broker/amqp/broker-events-consumer.ts';
import type { Config } from '../config/config.ts';
import type { AgentContext } from '../context.ts';
import { contractNames } from '../contract/names.ts';
import { createBrokerEventReactions, type QueueObserver } from '../jobs/broker-event-reactions.ts';
import { reconcileAndSurveySoon } from '../jobs/jobs.ts';
import { createRepairBurst } from '../jobs/repair-burst.ts';

/** What a broker watch reacts with. */
export interface BrokerWatchParts {
  readonly queues: QueueObserver;
  /** Called with each event that was taken. */
  readonly onEvent?: (event: BrokerEvent) => void;
  readonly reconcile: (signal: AbortSignal) => Promise<unknown>;
}

/** The agent's reaction to RabbitMQ's own events. */
export interface BrokerWatch {
  readonly alarms: Pick<Alarms, 'active' | 'refresh' | 'ageMs'>;
  /** Whether the queues of events are bound and consumed now. */
  readonly consuming: boolean;
  /** Whether events arrive, for the report about the agent's health. */
  check(): HealthCheck;
  /** Resolves when the first try to consume events is over; it goes on trying. */
  start(): Promise<void>;
  close(): Promise<void>;
}

const SILENCE = 'RabbitMQ sends no broker events, although the queues for them are bound and consumed';

const UNPROVEN_REASONS = {
  'not-consumed': 'no broker events are consumed',
  proving: 'no broker event has arrived yet',
  silent: `${SILENCE}: none that the agent caused has arrived. ${SILENCE_CURE}`,
  unknown: 'whether broker events arrive is unknown: RabbitMQ takes no other consumer of a queue for them',
} as const satisfies Record<Exclude<ProofView, 'arriving'> | 'not-consumed', string>;

/**
 * Creates the part that reacts to RabbitMQ's own events. Without them the agent relies on periodic reconciliation and
 * surveys, and logs so.
 */
export function createBrokerWatch(
  context: Pick<
    AgentContext,
    'config' | 'addressChoice' | 'management' | 'clock' | 'log' | 'jobs' | 'reporters' | 'lifecycle'
  >,
  parts: BrokerWatchParts,
): BrokerWatch {
  const { config, addressChoice, management, clock, log, jobs, reporters, lifecycle } = context;
  const { queues } = parts;
  const alarms = createAlarms({
    clock,
    listAlarms: () => management.listAlarms(),
    onChange: ({ alarm, node, active, source }) => reporters.alarmChanged(alarm, node, active, source === 'event'),
  });
  const refreshAlarms = (): void => {
    alarms.refresh().catch((error: unknown) => {
      log.warn({ code: 'alarms_not_listed', err: error }, 'could not list the alarms of RabbitMQ');
    });
  };
  const react = createBrokerEventReactions({
    options: { ...config, ownUsers: ownUsersOf(config) },
    repair: createRepairBurst({
      clock,
      log,
      repair: (namespace) => jobs.trigger('repair-account', namespace),
      reconcile: parts.reconcile,
      runInBackground: (task) => lifecycle.runInBackground('reconciling after a repair burst', task),
    }),
    alarms,
    queues,
  });
  let isSilent = false;
  let haveArrived = false;
  const reactToProof = (view: ProofView): void => {
    if (view === 'silent') {
      if (!isSilent) log.error({ code: 'broker_events_silent', cure: SILENCE_CURE }, SILENCE);
      isSilent = true;
    } else if (view === 'arriving') {
      haveArrived = true;
      if (!isSilent) return;
      isSilent = false;
      log.info({ code: 'broker_events_resumed' }, 'broker events arrive again');
      // Those in between are lost.
      refreshAlarms();
      reconcileAndSurveySoon(jobs);
    }
  };
  const consumer = createBrokerEventsConsumer({
    amqpUrl: config.rabbitmqUrl,
    addressChoice,
    ca: config.rabbitmqCa,
    id: config.id,
    eventVhost: config.eventVhost,
    management,
    clock,
    onProof: reactToProof,
    onEvent(event) {
      parts.onEvent?.(event);
      return react(event);
    },
    onConsuming() {
      log.info({ code: 'broker_events_started', eventVhost: config.eventVhost }, 'consuming broker events');
      refreshAlarms();
      // Events may have been lost before.
      reconcileAndSurveySoon(jobs);
    },
    onMissing(error) {
      log.error(
        { code: 'broker_events_unavailable', err: error },
        'broker events unavailable; external changes are detected only by periodic reconciliation',
      );
      refreshAlarms();
    },
    onError: (error) =>
      log.warn({ code: 'broker_events_error', err: error }, 'not consuming broker events; will retry'),
    onEventFailed: (type, error) =>
      log.warn(
        { code: 'broker_event_failed', err: error, type },
        'could not handle a broker event; the next reconciliation or survey finds what it was about',
      ),
  });
  return {
    alarms,
    get consuming() {
      return consumer.consuming;
    },
    check() {
      const { proof = 'not-consumed' } = consumer;
      if (proof === 'arriving') return { state: 'up' };
      return { state: haveArrived || proof === 'silent' ? 'down' : 'starting', reason: UNPROVEN_REASONS[proof] };
    },
    start: () => consumer.start(),
    close: () => consumer.close(),
  };
}

/** What the agent's own users do is intended: it is no drift. */
function ownUsersOf(config: Config): ReadonlySet<string> {
  const { agentUser } = config;
  const [{ login }] = parseHttpUrls(config.rabbitmqManagementUrl.reveal());
  return new Set([agentUser, login?.username ?? agentUser, contractNames(config.id).claimantUser]);
}
