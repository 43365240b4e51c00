import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import { countQueue } from '../broker/amqp/queue-counts.ts';
import { SILENCE_CURE } from '../broker/event-proof.ts';
import type { ContractNames } from '../contract/names.ts';
import { closeRpcConnection } from '../client/amqp-connection.ts';
import { failed, ok, skipped, type Step, type StepResult } from './step.ts';

interface BrokerEventsStepOptions {
  /** Connects as the agent to the vhost of the event exchange. */
  readonly connect: () => Promise<ChannelModel>;
  readonly names: Pick<ContractNames, 'brokerEventsQueue' | 'tenantEventsQueue'>;
  /** How long an event may take, in ms; 10 seconds when absent. */
  readonly withinMs?: number;
}

/** What came of the events that were caused. */
export interface EventsSeen {
  /** How many consumers the queue has: the agents. */
  readonly consumers: number;
  /** After how many ms one of the events came back; undefined: none did. */
  readonly arrivedAfterMs: number | undefined;
  /** Events that waited in the queue and came instead. */
  readonly others: number;
}

const ARRIVES_WITHIN_MS = 10_000;

/** Where RabbitMQ ignores priorities, the agents get some of the events: so another one is caused this often, in ms. */
const CAUSE_EVERY_MS = 500;

const PREFETCH = 100;

/**
 * Checks that RabbitMQ sends events to the queue of the agents: one that this step causes, `consumer.deleted`, has to come
 * back. What it takes from the agents meanwhile goes back into the queue.
 */
export function brokerEventsStep({ connect, names, withinMs = ARRIVES_WITHIN_MS }: BrokerEventsStepOptions): Step {
  return {
    name: 'broker-events',
    about: 'broker events',
    needs: ['event-exchange', 'agent-connection', 'agent-rights'],
    essential: false,
    patienceMs: 2 * withinMs,
    async run(signal) {
      const connection = await connect();
      try {
        return checkEvents(await causeEvents(connection, names, withinMs, signal));
      } finally {
        await closeRpcConnection(connection);
      }
    },
  };
}

/** @param seen undefined: there is no such queue */
export function checkEvents(seen: EventsSeen | undefined): StepResult {
  if (seen === undefined) return skipped('no agent has made a queue for them yet');
  const { consumers, arrivedAfterMs, others } = seen;
  if (arrivedAfterMs !== undefined) return ok(`one arrived after ${Math.round(arrivedAfterMs)} ms`);
  if (consumers === 0) return skipped('no agent consumes them');
  if (others >= PREFETCH) return skipped('too many wait for the agents: a new one did not arrive in time');
  return failed(
    'RabbitMQ sends none, although agents consume them: external changes are found at the next reconciliation only',
    SILENCE_CURE,
  );
}

/**
 * Consumes the queue to which RabbitMQ reports consumers that have gone, before the agents do; and makes consumers of the
 * other one come and go until one is reported.
 */
async function causeEvents(
  connection: ChannelModel,
  { brokerEventsQueue, tenantEventsQueue }: BrokerEventsStepOptions['names'],
  withinMs: number,
  signal: AbortSignal,
): Promise<EventsSeen | undefined> {
  const consumers = (await countQueue(connection, tenantEventsQueue))?.consumers;
  if (consumers === undefined) return undefined;
  const taking = await connection.createChannel();
  const causing = await connection.createChannel();
  for (const channel of [taking, causing]) channel.on('error', () => undefined);
  const done = new AbortController();
  const until = AbortSignal.any([signal, done.signal, AbortSignal.timeout(withinMs)]);
  const tags = new Set<unknown>();
  const beganMs = performance.now();
  let arrivedAfterMs: number | undefined;
  let others = 0;
  await taking.prefetch(PREFETCH);
  await taking.consume(
    tenantEventsQueue,
    (message) => {
      if (tags.has(message?.properties.headers?.['consumer_tag'])) {
        arrivedAfterMs ??= performance.now() - beganMs;
        done.abort();
      } else others += 1;
    },
    { priority: 10 },
  );
  await causing.prefetch(1);
  while (!until.aborted) {
    const consumerTag = `verify-${tags.size}-${process.pid}`;
    tags.add(consumerTag);
    await causing.consume(brokerEventsQueue, () => undefined, { priority: -10, consumerTag });
    await causing.cancel(consumerTag);
    await sleep(CAUSE_EVERY_MS, undefined, { signal: until }).catch(() => undefined);
  }
  signal.throwIfAborted();
  // Closing puts back what was not acknowledged.
  await Promise.all([taking.close(), causing.close()]);
  return { consumers, arrivedAfterMs, others };
}
