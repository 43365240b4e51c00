import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import type { Agent } from '../../src/agent/agent.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { manage, sharedBroker, useSharedBroker } from '../support/broker.ts';
import { eventAbout, type EventExchange, makeEventExchange, type SentEvent } from '../support/event-exchange.ts';
import { scrape } from '../support/agent-http.ts';
import { interceptManagement, interceptStore } from '../support/step-observer.ts';
import { mailedChanges } from '../support/owner-mails.ts';
import { claimTeam, collectEvents, makeWatchedInstallation, waitUntil } from '../support/watched-installation.ts';

/** The clients of a node that reconnect, with five events each. */
const CLIENTS = 2_000;

const VERSIONS = ['3.10.8', '4.0.5'] as const;

/** How many broker events an agent has handled, by type. */
async function takenBy(agent: Agent): Promise<Record<string, number>> {
  const samples = await scrape(agent);
  const taken: Record<string, number> = {};
  for (const [name, value] of samples) {
    const [, type] = /^pulse_agent_broker_events_total\{type="(.+)"\}$/.exec(name) ?? [];
    if (type !== undefined) taken[type] = value;
  }
  return taken;
}

function countByType(events: readonly SentEvent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { routingKey } of events) counts[routingKey] = (counts[routingKey] ?? 0) + 1;
  return counts;
}

describe('broker events', function () {
  this.timeout(180_000);
  useSharedBroker();
  let installation: TestInstallation;
  let exchange: EventExchange;
  let agent: Agent;
  /** The calls of the store and the management API so far. */
  let calls = 0;
  let areSurveysOff = false;

  before('start it with an event exchange that a test can publish to', async function () {
    this.timeout(300_000);
    exchange = await makeEventExchange(await sharedBroker());
    installation = await makeWatchedInstallation({ settings: { eventVhost: exchange.vhost, httpPort: 0 } });
    await exchange.open(installation);
    const count = async (step: string, call: () => Promise<unknown>): Promise<unknown> => {
      calls += 1;
      if (areSurveysOff && step === 'management.visitQueues') throw new AgentError('BrokerUnavailable', 'By a test.');
      return await call();
    };
    agent = await installation.start({
      wrapStore: (store) => interceptStore(store, count),
      wrapManagement: (management) => interceptManagement(management, count),
    });
    await installation.logged('broker_events_started');
  });
  after('remove the installation', async () => installation.remove());
  afterEach(() => (areSurveysOff = false));

  it(`are handled in a burst of ${5 * CLIENTS}; requests are answered, and an overgrown queue is noticed`, async () => {
    const { vhost } = installation.config;
    const events = await collectEvents(installation);
    const team = await claimTeam(installation);
    const queue = `queue/${team.namespace}/deep`;
    await team.channel.assertQueue(queue);
    await team.fill(queue, 30);
    areSurveysOff = true;
    const before = await takenBy(agent);
    const callsBefore = calls;
    const burst = Array.from({ length: CLIENTS }, (_, client) => {
      const version = VERSIONS[client % 2] ?? '3.10.8';
      const name = client === CLIENTS / 2 ? queue : `queue/${team.namespace}/${client}`;
      return [
        eventAbout(version, 'queue.created', { name, vhost }),
        eventAbout(version, 'consumer.deleted', { queue: name, vhost }),
        eventAbout(version, 'queue.deleted', { name, vhost }),
        eventAbout(version, 'queue.created', { name, vhost }),
        eventAbout(version, 'consumer.deleted', { queue: name, vhost }),
      ];
    }).flat();
    const rpc = await installation.rpc();
    const isOver = new AbortController();
    let answered = 0;
    const asking = (async () => {
      for (; !isOver.signal.aborted; answered += 1) assert.equal((await rpc.request('ping', {})).alive, true);
    })();
    await exchange.publish(burst);
    const isTaken = async (): Promise<boolean> =>
      Object.values(await takenBy(agent)).reduce((sum, count) => sum + count, 0) >=
      Object.values(before).reduce((sum, count) => sum + count, 0) + burst.length;
    await waitUntil(isTaken, 'all events are taken');
    isOver.abort();
    await asking;
    assert.ok(answered > 0);
    await events.of('queue.warning', queue);
    const taken = await takenBy(agent);
    for (const [type, count] of Object.entries(countByType(burst))) {
      assert.equal((taken[type] ?? 0) - (before[type] ?? 0), count, type);
    }
    assert.equal(await exchange.waiting(installation), 0);
    assert.ok(calls - callsBefore < burst.length / 10, `${calls - callsBefore} calls for ${burst.length} events`);
    // The agent holds no more of them than its prefetch count.
    const { body } = await manage(installation.broker, 'GET', `/consumers/${encodeURIComponent(exchange.vhost)}`);
    assert.deepEqual(
      (body as { prefetch_count: number }[]).map(({ prefetch_count: prefetch }) => prefetch),
      [500, 500],
    );
  });

  it('cause no wrong action when they arrive twice, late or out of order', async () => {
    const { vhost, usernamePrefix } = installation.config;
    const events = await collectEvents(installation);
    const team = await claimTeam(installation, 'owner@example.org');
    const namespace = teamNamespace();
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace });
    const account = `${usernamePrefix}${namespace}-1`;
    const small = `queue/${team.namespace}/small`;
    const deep = ['a', 'b', 'c'].map((name) => `queue/${team.namespace}/${name}`);
    for (const queue of [small, ...deep]) await team.channel.assertQueue(queue);
    await team.fill(small, 5);
    for (const queue of deep) await team.fill(queue, 60);
    const story = VERSIONS.flatMap((version) => [
      ...[small, ...deep, `queue/${team.namespace}/never-there`].flatMap((name) => [
        eventAbout(version, 'queue.created', { name, vhost }),
        eventAbout(version, 'consumer.deleted', { queue: name, vhost }),
        eventAbout(version, 'queue.deleted', { name, vhost }),
      ]),
      eventAbout(version, 'user.created', { name: account }),
      eventAbout(version, 'permission.created', { user: account, vhost }),
      eventAbout(version, 'permission.deleted', { user: account, vhost }),
      eventAbout(version, 'user.deleted', { name: account }),
      eventAbout(version, 'alarm.set', { timestamp_in_ms: 1 }),
      eventAbout(version, 'alarm.cleared', { timestamp_in_ms: 2 }),
    ]);
    const before = await takenBy(agent);
    const sent = [...story.toReversed(), ...story, ...story.toReversed(), ...story.toReversed()];
    await exchange.publish(sent);
    const isTaken = async (): Promise<boolean> => {
      const taken = await takenBy(agent);
      return Object.entries(countByType(sent)).every(
        ([type, count]) => (taken[type] ?? 0) >= (before[type] ?? 0) + count,
      );
    };
    await waitUntil(isTaken, 'all events are taken');
    for (const queue of deep) await events.of('queue.deleted', queue);
    const mailed = () => mailedChanges(installation.taskcluster.mails);
    await waitUntil(() => mailed().length >= 2 * deep.length, 'all mails');
    for (const queue of deep) {
      const types = events.seen.filter(({ subject }) => subject === queue).map(({ type }) => type);
      assert.deepEqual(types, ['queue.warning', 'queue.deleted']);
    }
    const changes = deep.flatMap((queue) => [`warning ${queue}`, `deletion ${queue}`]);
    assert.deepEqual(mailed().toSorted(), changes.toSorted());
    const rest = events.seen.filter(({ type }) => !/^(queue\.|namespace\.claimed)/.test(type));
    assert.deepEqual(rest, [], 'neither a repair nor an alarm');
    assert.equal((await team.channel.checkQueue(small)).messageCount, 5);
    await (await connect(connectionString)).close();
  });
});
