import assert from 'node:assert/strict';
import type { BrokerEvent } from '../../../src/broker/amqp/broker-events.ts';
import type { ProofView } from '../../../src/broker/event-proof.ts';
import { contractNames } from '../../../src/contract/names.ts';
import { brokerEventsStep } from '../../../src/verify/broker-events-step.ts';
import { createBrokerEventsConsumer } from '../../../src/broker/amqp/broker-events-consumer.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { Secret } from '../../../src/util/secret.ts';
import { openBrokerFixture } from '../../support/broker-fixture.ts';
import { manage, openConnection, sharedBroker, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { eventAbout, makeEventExchange, silenceBrokerEvents } from '../../support/event-exchange.ts';
import { unique } from '../../support/folders.ts';
import { waitUntil } from '../../support/watched-installation.ts';

describe('the consumer of broker events', () => {
  useSharedBroker();

  it('reports an event that it cannot handle, and consumes the next one', async () => {
    const exchange = await makeEventExchange(await sharedBroker());
    const { management } = await openBrokerFixture();
    const failed: string[] = [];
    const faults: Error[] = [];
    const [first, second, last] = [unique('first'), unique('second'), unique('last')];
    await new Promise<void>((resolve) => {
      const onEvent = (event: BrokerEvent): Promise<void> | void => {
        if (event.type !== 'user.deleted') return;
        if (event.user === first) throw new Error('thrown');
        if (event.user === second) return Promise.reject(new Error('rejected'));
        if (event.user === last) resolve();
      };
      const consumer = createBrokerEventsConsumer({
        amqpUrl: new Secret(exchange.amqpUrl),
        id: unique('agent'),
        eventVhost: exchange.vhost,
        management,
        clock: systemClock,
        prefetch: 1,
        onEvent,
        onConsuming() {
          // On a busy machine RabbitMQ may answer too late before: then it is tried again.
          faults.length = 0;
          void exchange.publish([first, second, last].map((name) => eventAbout('4.0.5', 'user.deleted', { name })));
        },
        onMissing: (error) => void faults.push(error),
        onError: (error) => void faults.push(error),
        onEventFailed: (type, { message }) => void failed.push(`${type} ${message}`),
      });
      addCleanup(() => consumer.close());
      void consumer.start();
    });
    assert.deepEqual(failed, ['user.deleted thrown', 'user.deleted rejected']);
    assert.deepEqual(faults, []);
  });

  it('handles the events of administrators although those that tenants cause wait', async () => {
    const exchange = await makeEventExchange(await sharedBroker());
    const { management } = await openBrokerFixture();
    const flood = Array.from({ length: 200 }, (_, n) => eventAbout('4.0.5', 'queue.created', { name: `queue/a/${n}` }));
    const user = unique('user');
    const stuck = new Promise<void>(() => undefined);
    let tenantEvents = 0;
    await new Promise<void>((resolve, reject) => {
      const onEvent = (event: BrokerEvent): Promise<void> | void => {
        if (event.type === 'permission.deleted' && event.user === user) return resolve();
        if (event.type !== 'queue.created') return;
        tenantEvents += 1;
        return stuck;
      };
      const consumer = createBrokerEventsConsumer({
        amqpUrl: new Secret(exchange.amqpUrl),
        id: unique('agent'),
        eventVhost: exchange.vhost,
        management,
        clock: systemClock,
        prefetch: 10,
        onEvent,
        onConsuming: () => void exchange.publish([...flood, eventAbout('4.0.5', 'permission.deleted', { user })]),
        onMissing: reject,
        onError: reject,
        onEventFailed: (_type, error) => reject(error),
      });
      addCleanup(() => consumer.close());
      void consumer.start();
    });
    assert.ok(tenantEvents <= 10);
  });

  it('names the cause when RabbitMQ does not let it consume', async () => {
    const exchange = await makeEventExchange(await sharedBroker());
    const { management } = await openBrokerFixture();
    const url = new URL(exchange.amqpUrl);
    url.password = 'wrong';
    const error = await new Promise<Error>((resolve) => {
      const consumer = createBrokerEventsConsumer({
        amqpUrl: new Secret(url.href),
        id: unique('agent'),
        eventVhost: exchange.vhost,
        management,
        clock: systemClock,
        onEvent: () => undefined,
        onConsuming: () => assert.fail('It must not consume.'),
        onMissing: resolve,
        onError: resolve,
        onEventFailed: () => undefined,
      });
      addCleanup(() => consumer.close());
      void consumer.start();
    });
    assert.equal(error.name, 'BrokerRefused');
    assert.ok(error.cause instanceof Error);
    assert.match(error.message, /ACCESS_REFUSED|ACCESS-REFUSED/);
    assert.ok(!error.cause.message.includes('wrong'));
  });

  it('proves that RabbitMQ sends events, and finds, as verify does, that it has stopped', async () => {
    const broker = await sharedBroker();
    const { management } = await openBrokerFixture();
    const id = unique('agent');
    const names = contractNames(id);
    const views: ProofView[] = [];
    const isSeen = (view: ProofView) => (): boolean => views.at(-1) === view;
    const consumer = createBrokerEventsConsumer({
      amqpUrl: new Secret(broker.amqpUrl),
      id,
      eventVhost: '/',
      management,
      clock: systemClock,
      proofTimes: { quietMs: 500, retryMs: 200, silentMs: 3_000 },
      onEvent: () => undefined,
      onConsuming: () => undefined,
      onMissing: (error) => assert.fail(error),
      onError: () => undefined,
      onEventFailed: (_type, error) => assert.fail(error),
      onProof: (view) => void views.push(view),
    });
    addCleanup(async () => {
      await consumer.close();
      for (const name of Object.values(names).filter((one) => one.endsWith('-events'))) {
        await manage(broker, 'DELETE', `/queues/%2F/${encodeURIComponent(name)}`, undefined, [404]);
      }
      for (const { name } of await management.listPolicies('/')) {
        if (name.startsWith(id)) await management.deletePolicy('/', name);
      }
    });
    const step = brokerEventsStep({ connect: () => openConnection(broker.amqpUrl), names, withinMs: 3_000 });
    const { signal } = new AbortController();
    assert.equal((await step.run(signal)).outcome, 'skipped');
    await consumer.start();
    await waitUntil(isSeen('arriving'), 'an event arrives');
    assert.equal((await step.run(signal)).outcome, 'ok');

    const resume = await silenceBrokerEvents(broker);
    await waitUntil(isSeen('silent'), 'the consumer finds that no event arrives');
    const { outcome, remedy } = await step.run(signal);
    assert.equal(outcome, 'failed');
    assert.match(remedy ?? '', /rabbitmq-plugins disable rabbitmq_event_exchange/);
    assert.equal(consumer.consuming, true);

    await resume();
    await waitUntil(isSeen('arriving'), 'events arrive again');
    assert.equal((await step.run(signal)).outcome, 'ok');
  });
});
