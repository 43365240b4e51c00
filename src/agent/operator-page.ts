import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAgentEventsConsumer } from '../broker/amqp/agent-events-consumer.ts';
import type { AgentContext } from '../context.ts';
import type { PublishableEvent } from '../events/agent-events.ts';
import type { Observation } from '../observe/observation.ts';
import type { ApiEndpoint } from '../operator-api/endpoint.ts';
import { createOperatorData, type OperatorApiParts } from '../operator-api/operator-api.ts';
import { createEventRing } from '../operator-http/event-ring.ts';
import { createEventStream } from '../operator-http/event-stream.ts';
import { readEventView } from '../operator-http/event-view.ts';
import { createOperatorHandler } from '../operator-http/operator-handler.ts';
import { createPageFiles } from '../operator-http/page-files.ts';
import { createTokenCheck } from '../operator-http/token-check.ts';
import { PACKAGE_ROOT } from '../package-root.ts';
import type { DepthObserver } from '../queues/survey-queues.ts';
import type { Secret } from '../util/secret.ts';

/** The page for operators of one agent, with its data. */
export interface OperatorPage {
  /** The same, and the page shows each event, also while RabbitMQ takes none. */
  readonly showing: (publish: PublishEvents) => PublishEvents;
  /** Surveys give it what they list. */
  readonly depths: DepthObserver;
  /** From now on there are data, and events of other agents. */
  readonly start: (parts: OperatorApiParts) => void;
  readonly close: () => Promise<void>;
}

type PublishEvents = (event: PublishableEvent) => Promise<void>;

type OperatorPageContext = Pick<
  AgentContext,
  'config' | 'instance' | 'addressChoice' | 'clock' | 'sleep' | 'log' | 'store' | 'management'
>;

/** Creates the page, and serves its files. */
export function createOperatorPage(
  context: OperatorPageContext,
  token: Secret,
  observation: Pick<Observation, 'serve' | 'port'>,
): OperatorPage {
  const { config, instance, addressChoice, clock, sleep, log } = context;
  const ring = createEventRing(instance, { agents: 'own', reason: 'the agent starts' });
  const data = createOperatorData(context);
  let endpoints: readonly ApiEndpoint[] | undefined;
  const show = (content: Buffer | string): void => {
    const event = readEventView(content);
    if (event === undefined) return;
    ring.add(event);
    data.observeEvent(event);
  };
  let isLost = false;
  const consumer = createAgentEventsConsumer({
    amqpUrl: config.rabbitmqUrl,
    addressChoice,
    ca: config.rabbitmqCa,
    id: config.id,
    instance,
    vhost: config.vhost,
    sleep,
    onEvent: show,
    onConsuming() {
      isLost = false;
      // Those of others since the start, or since the last connection, are missing.
      ring.setSource({ agents: 'all' }, true);
      log.info({ code: 'page_events_consumed' }, 'the page for operators shows the events of all agents');
    },
    onLost(error) {
      if (isLost) return;
      isLost = true;
      ring.setSource({ agents: 'own', reason: error.message }, true);
      log.warn({ code: 'page_events_unavailable', err: error }, 'the page for operators lacks the events of others');
    },
  });
  observation.serve(
    createOperatorHandler({
      settings: config,
      checkToken: createTokenCheck({ token, clock, sleep, log }),
      endpoints: () => endpoints,
      events: createEventStream({ instance, ring, clock, sleep }),
      files: createPageFiles(join(fileURLToPath(PACKAGE_ROOT), 'dist/page')),
      log,
    }),
  );
  return {
    showing: (publish) => async (event) => {
      show(event.body);
      await publish(event);
    },
    depths: data.depths,
    start(parts) {
      ({ endpoints } = data.start(parts));
      consumer.start();
      log.info({ code: 'operator_page_served', port: observation.port }, 'serving the page for operators');
    },
    async close() {
      await consumer.close();
      await data.close();
    },
  };
}
