import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { PARTS } from '../../src/observe/health.ts';
import { assessInstallation } from '../../src/status/assess-installation.ts';
import { PART_REMEDIES } from '../../src/status/part-remedies.ts';
import type { InstallationStatus } from '../../src/status/installation-status.ts';
import type { InstallationReading, StoreReading } from '../../src/status/read-installation.ts';
import type { AgentRecord, RecordedPart } from '../../src/store/agent-records.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { agentOf, alertOf } from '../support/records.ts';

const NOW_MS = Date.parse('2026-11-24T12:00:00.000Z');
const MINUTE = 60_000;

const at = (minutesAgo: number): string => new Date(NOW_MS - minutesAgo * MINUTE).toISOString();
const up: RecordedPart = { state: 'up', since: at(60), required: true };
const down: RecordedPart = { state: 'down', since: at(5), required: true, reason: 'by a test' };
const optional: RecordedPart = { ...down, required: false };

/** An agent that runs for an hour and has just written its record. */
function running(instance: string, given: Partial<AgentRecord> = {}): AgentRecord {
  return agentOf({
    instance,
    startedMs: NOW_MS - 60 * MINUTE,
    seenMs: NOW_MS - 3000,
    jobs: { prune: { everyMs: MINUTE, succeeded: at(1) } },
    ...given,
  });
}

/** An agent without these parts. */
function lacking(instance: string, parts: Record<string, RecordedPart>, given: Partial<AgentRecord> = {}): AgentRecord {
  const ready = !Object.values(parts).some(({ required }) => required);
  return running(instance, { ready, degraded: ready, parts: { store: up, ...parts }, ...given });
}

/** One node, one agent, one namespace, and all is well, but for what is given. */
function reading(
  given: {
    readonly store?: Partial<StoreReading>;
    readonly broker?: object;
    readonly amqp?: object;
    readonly away?: readonly ('store' | 'broker' | 'amqp')[];
  } = {},
): InstallationReading {
  const away = (part: 'store' | 'broker' | 'amqp'): boolean => given.away?.includes(part) === true;
  const error = (code: 'StoreUnavailable' | 'BrokerUnavailable', where: string) => ({
    error: new AgentError(code, `${where} does not answer.`),
  });
  return {
    atMs: NOW_MS,
    store: away('store')
      ? error('StoreUnavailable', 'MongoDB at db:27017')
      : {
          value: {
            kind: 'mongodb',
            setup: { replicaSet: 'rs0', isSharded: false, timeMs: NOW_MS },
            storeId: 'id',
            agents: [running('a')],
            namespaces: { provisioning: 0, active: 1, expiring: 0, deleted: 2 },
            secrets: { atMs: NOW_MS, namespaces: new Map([['secret-1', 1]]) },
            sightings: new Map([['secret-1', { heldMs: NOW_MS - MINUTE, missingMs: null }]]),
            noticesWaiting: 0,
            alerts: [],
            ...given.store,
          },
        },
    broker: away('broker')
      ? error('BrokerUnavailable', 'The management API')
      : {
          value: {
            overview: {
              rabbitmqVersion: '4.0.5',
              erlangVersion: '27',
              clusterName: 'rabbit@one',
              areStatisticsOff: false,
            },
            nodes: [{ name: 'rabbit@one', running: true, partitions: [] }],
            alarms: [],
            requestQueue: { name: 'q', leader: 'rabbit@one', members: ['rabbit@one'], online: ['rabbit@one'] },
            deadQueue: { name: 'd', leader: 'rabbit@one', members: ['rabbit@one'], online: ['rabbit@one'] },
            ...given.broker,
          },
        },
    amqp: away('amqp')
      ? error('BrokerUnavailable', 'RabbitMQ at amqp://one:5672')
      : { value: { requests: { messages: 0, consumers: 1 }, dead: { messages: 0, consumers: 0 }, ...given.amqp } },
  };
}

const assess = (given?: Parameters<typeof reading>[0], isProduction = true): InstallationStatus =>
  assessInstallation('pulse-agent', reading(given), { isProduction });

/** The findings as `<level> <about>`. */
const found = ({ findings }: InstallationStatus): string[] => findings.map(({ level, about }) => `${level} ${about}`);

describe('the status of an installation', () => {
  it('is well without findings', () => {
    const status = assess();
    assert.equal(status.state, 'well');
    assert.deepEqual(status.findings, []);
    assert.deepEqual(status.secrets?.needed, [
      { secretId: 'secret-1', namespaces: 1, heldBy: ['a'], lastHeld: at(1), missingSince: null },
    ]);
    assert.equal(status.agents?.[0]?.state, 'ready');
  });

  it('names a part that is not up, since when, and the agents, each cause once', () => {
    const agents = [
      lacking('a', { statistics: optional }),
      lacking('b', { statistics: { ...optional, since: at(9) } }),
      running('c'),
    ];
    const status = assess({ store: { agents } });
    assert.equal(status.state, 'degraded');
    assert.deepEqual(status.findings, [
      {
        level: 'degraded',
        about: 'statistics',
        since: at(9),
        said: 'by a test (2 of 3 agents)',
        remedy: PART_REMEDIES.statistics,
        agents: ['a', 'b'],
      },
    ]);
    assert.deepEqual(
      status.agents?.map(({ state }) => state),
      ['degraded', 'degraded', 'ready'],
    );
  });

  it('says for each part of an agent what to do, with a heading that the document has', () => {
    for (const part of Object.keys(PARTS)) {
      const [finding] = assess({ store: { agents: [lacking('a', { [part]: optional })] } }).findings;
      const remedy = finding?.remedy ?? assert.fail(part);
      const [, file, heading] = /(docs\/[\w-]+\.md), "([^"]+)"\.$/.exec(remedy) ?? assert.fail(remedy);
      assert.match(readFileSync(String(file), 'utf8'), new RegExp(`^#+ ${heading}$`, 'm'), part);
    }
    const newer = assess({ store: { agents: [lacking('a', { 'part-of-a-newer-version': optional })] } });
    assert.equal(newer.findings[0]?.remedy, null);
  });

  it('is degraded in production while MongoDB is no replica set', () => {
    const standalone = { setup: { replicaSet: undefined, isSharded: false, timeMs: NOW_MS } };
    assert.deepEqual(found(assess({ store: standalone })), ['degraded store']);
    assert.deepEqual(found(assess({ store: standalone }, false)), []);
    assert.deepEqual(found(assess({ store: { setup: { ...standalone.setup, isSharded: true } } })), []);
    assert.deepEqual(found(assess({ store: { kind: 'lmdb', setup: undefined } })), []);
  });

  it('is degraded while one agent serves, and down when none does', () => {
    assert.deepEqual(found(assess({ store: { agents: [lacking('a', { auth: down }), running('b')] } })), [
      'degraded auth',
    ]);
    assert.deepEqual(found(assess({ store: { agents: [lacking('a', { auth: down })] } })), ['down auth']);
  });

  it('takes nothing from a record that is old', () => {
    const old = { seenMs: NOW_MS - 5 * MINUTE };
    const alone = assess({ store: { agents: [running('a', old)] } });
    assert.deepEqual(found(alone), ['down agents']);
    assert.match(alone.findings[0]?.said ?? '', /takes? requests/);
    const idle = { amqp: { requests: { messages: 0, consumers: 0 } } };
    const killed = assess({ ...idle, store: { agents: [running('a', old)] } });
    assert.deepEqual(
      [killed.findings[0]?.since, killed.findings[0]?.said],
      [at(5), 'no agent runs; a was the last that was killed'],
    );
    const never = assess({ ...idle, store: { agents: [] } });
    assert.deepEqual([never.state, never.findings[0]?.said], ['down', 'no agent runs']);
    const one = assess({ store: { agents: [running('a', old), running('b')] } });
    assert.deepEqual(
      one.findings.map(({ level, about, since, agents }) => ({ level, about, since, agents })),
      [{ level: 'degraded', about: 'agents', since: at(5), agents: ['a'] }],
    );
    const replaced = assess({ store: { agents: [running('a', old), running('b', { startedMs: NOW_MS - MINUTE })] } });
    assert.equal(replaced.state, 'well');
    assert.equal(replaced.agents?.find(({ instance }) => instance === 'a')?.state, 'replaced');
  });

  it('says of a starting agent what it waits for', () => {
    const part: RecordedPart = { state: 'starting', since: at(1), required: true };
    const agent = lacking('a', { management: part, requests: part }, { startedMs: NOW_MS - MINUTE });
    const status = assess({ store: { agents: [agent] } });
    assert.deepEqual(
      status.findings.map(({ level, said }) => [level, said]),
      [['down', 'a is starting, and waits for management, requests']],
    );
    assert.equal(assess({ store: { agents: [agent, running('b')] } }).state, 'degraded');
  });

  it('shows the rest when the store, the broker, or all of them are away, and says which and why', () => {
    const withoutStore = assess({ away: ['store'] });
    assert.deepEqual(found(withoutStore), ['down store']);
    assert.match(
      withoutStore.findings[0]?.said ?? '',
      /^MongoDB at db:27017 does not answer\. Which agents run is unknown$/,
    );
    assert.deepEqual([withoutStore.agents, withoutStore.jobs, withoutStore.secrets], [null, null, null]);
    assert.equal(withoutStore.requestQueue.consumers, 1);

    const parts = { topology: down, requests: down, management: { ...down, since: at(4) }, statistics: optional };
    const withoutBroker = assess({ away: ['broker', 'amqp'], store: { agents: [lacking('a', parts)] } });
    assert.deepEqual(found(withoutBroker), ['down amqp', 'down management']);
    assert.deepEqual(
      withoutBroker.findings.map(({ since }) => since),
      [at(5), at(5)],
    );
    assert.equal(withoutBroker.agents?.[0]?.state, 'not-ready');
    assert.deepEqual(withoutBroker.requestQueue, {
      messages: null,
      consumers: null,
      leader: null,
      members: null,
      online: null,
    });

    assert.deepEqual(found(assess({ away: ['broker'] })), ['degraded management']);
    assert.equal(assess({ away: ['store', 'broker', 'amqp'] }).state, 'down');
  });

  it('finds a request queue that is missing, has no leader or no consumer', () => {
    assert.deepEqual(found(assess({ amqp: { requests: undefined } })), ['down request-queue']);
    assert.deepEqual(found(assess({ amqp: { requests: { messages: 5, consumers: 0 } } })), ['down request-queue']);
    const requestQueue = { name: 'q', leader: undefined, members: ['1', '2', '3'], online: ['1'] };
    const agents = [lacking('a', { 'round-trip': down })];
    const status = assess({ broker: { requestQueue }, store: { agents } });
    assert.deepEqual(found(status), ['down request-queue']);
    assert.deepEqual(status.findings[0]?.since, at(5));
  });

  it('knows no counts of a queue without a leader, for which RabbitMQ says 0', () => {
    const queue = { name: 'q', leader: undefined, members: ['1', '2', '3'], online: ['1'] };
    const { requestQueue } = assess({ broker: { requestQueue: queue } });
    assert.deepEqual([requestQueue.messages, requestQueue.consumers], [null, null]);
    assert.equal(assess().deadLetters, 0);
    assert.equal(assess({ broker: { deadQueue: queue } }).deadLetters, null);
  });

  it('names alarms and missing nodes once, although agents see them too', () => {
    const agents = [lacking('a', { alarms: down, 'round-trip': down, cluster: optional })];
    const broker = {
      alarms: [{ alarm: 'memory', node: 'rabbit@one' }],
      nodes: ['one', 'two', 'three'].map((name) => ({ name, running: name !== 'two', partitions: undefined })),
    };
    const status = assess({ broker, store: { agents } });
    assert.deepEqual(found(status), ['down alarms', 'degraded cluster']);
    assert.deepEqual(
      status.findings.map(({ since }) => since),
      [at(5), at(5)],
    );
  });

  it('says how many namespaces need a secret that agents lack', () => {
    const secrets = { atMs: NOW_MS, namespaces: new Map(Object.entries({ 'secret-1': 7, old: 3, lost: 1 })) };
    const agents = [running('a', { secretIds: ['secret-1', 'old'] }), running('b')];
    const sightings = new Map([['lost', { heldMs: NOW_MS - 90 * MINUTE, missingMs: NOW_MS - 80 * MINUTE }]]);
    const status = assess({ store: { agents, secrets, sightings } });
    assert.deepEqual(
      status.findings.map(({ said, agents: whose, since }) => [said, whose, since]),
      [
        ['1 of 2 agents lack the secret old, which 3 namespaces need', ['b'], null],
        ['no running agent has the secret lost, which 1 namespace needs', ['a', 'b'], at(80)],
      ],
    );
    assert.equal(status.state, 'degraded');
  });

  it('finds a job that is late, by the latest success that any agent knows of', () => {
    const jobs = (succeeded: string | undefined, failed?: string) => ({
      'reconcile-broker': {
        everyMs: 5 * MINUTE,
        ...(succeeded === undefined ? {} : { succeeded }),
        ...(failed === undefined ? {} : { failed, error: 'BrokerUnavailable' }),
      },
    });
    const of = (...agents: AgentRecord[]): InstallationStatus => assess({ store: { agents } });
    assert.equal(of(running('a', { jobs: jobs(at(11)) })).state, 'well');
    assert.equal(of(running('a', { jobs: jobs(at(40)) }), running('b', { jobs: jobs(at(11)) })).state, 'well');
    const late = of(running('a', { jobs: jobs(at(20), at(1)) }));
    assert.deepEqual(found(late), ['degraded job']);
    assert.equal(late.findings[0]?.since, at(20));
    assert.match(late.findings[0]?.said ?? '', /BrokerUnavailable/);
    // A new agent has not had the time for it.
    assert.equal(of(running('a', { jobs: jobs(undefined), startedMs: NOW_MS - 9 * MINUTE })).state, 'well');
    assert.deepEqual(found(of(running('a', { jobs: jobs(undefined) }))), ['degraded job']);
  });

  it('counts alerts by level and names the latest', () => {
    const alerts = Array.from({ length: 12 }, (_, index) =>
      alertOf({ queue: `q${index}`, level: index === 0 ? 'over' : 'warned', changedMs: NOW_MS - index * MINUTE }),
    );
    const status = assess({ store: { alerts } });
    assert.deepEqual(status.alerts?.levels, { over: 1, warned: 11 });
    assert.equal(status.alerts?.queues.length, 10);
    assert.deepEqual(status.alerts?.queues[0], { queue: 'q0', level: 'over', since: at(0) });
    assert.equal(status.state, 'well');
  });
});
