import assert from 'node:assert/strict';
import { openManagement } from '../../src/broker/management/open-management.ts';
import { createKeyring } from '../../src/namespaces/accounts/keyring.ts';
import { createBackoff } from '../../src/namespaces/backoff.ts';
import { intervalsOf } from '../../src/namespaces/timing.ts';
import { createHealth } from '../../src/observe/health.ts';
import type { ApiEndpoint, EndpointName, ENDPOINT_FORMS } from '../../src/operator-api/endpoint.ts';
import { readEndpoint } from '../../src/operator-api/endpoint.ts';
import { createOperatorData } from '../../src/operator-api/operator-api.ts';
import { openStoreToRead } from '../../src/store/open-store-to-read.ts';
import { systemClock, systemSleep } from '../../src/util/clock.ts';
import { createLog } from '../../src/util/log.ts';
import { Secret } from '../../src/util/secret.ts';
import type * as z from 'zod';
import { REVOKER, TEAM, type TestInstallation } from '../support/agent.ts';
import { addCleanup } from '../support/cleanup.ts';
import {
  claimTeam,
  LOW_THRESHOLDS,
  makeWatchedInstallation,
  type Team,
  waitUntil,
} from '../support/watched-installation.ts';

type AnswerOf<Name extends EndpointName> = z.output<(typeof ENDPOINT_FORMS)[Name]['answer']>;

const PATHS: Readonly<Record<EndpointName, string>> = {
  overview: '/api/v1/overview',
  namespaces: '/api/v1/namespaces',
  namespace: '/api/v1/namespaces/:name',
  queues: '/api/v1/queues',
  queueHistory: '/api/v1/queue-history',
  plan: '/api/v1/plan',
  audit: '/api/v1/audit',
  health: '/api/v1/health',
};

const CONTACT = 'owner-of-queues@example.com';
const { signal } = new AbortController();

/** The data of the page, read from outside of the agent over the same store and broker. */
async function openApi(
  { config }: Pick<TestInstallation, 'config'>,
  managementUrl = config.rabbitmqManagementUrl,
): Promise<readonly ApiEndpoint[]> {
  const store = await openStoreToRead(config.storeUrl.reveal());
  const management = openManagement({ ...config, rabbitmqManagementUrl: managementUrl });
  const context = {
    config,
    instance: 'page-test',
    clock: systemClock,
    sleep: systemSleep,
    log: createLog({ ...config, logLevel: 'silent' }),
    store,
    management,
  };
  const data = createOperatorData(context);
  addCleanup(async () => {
    await data.close();
    management.close();
    await store.close();
  });
  return data.start({
    namespaces: {
      intervals: intervalsOf(config),
      keyring: createKeyring(config.agentSecret, config.previousAgentSecrets),
      backoff: createBackoff(systemClock, () => undefined),
    },
    health: createHealth(systemClock),
    cluster: { status: { is: 'whole' } },
    startedMs: systemClock.monotonicMs(),
    risks: () => [{ choice: 'a-choice', sentence: 'It is risky.' }],
    requestCounts: () => new Map([['requests', { messages: 0, consumers: 1 }]]),
  }).endpoints;
}

describe("the data of the operators' page", () => {
  let installation: TestInstallation;
  let endpoints: readonly ApiEndpoint[];
  let team: Team;
  let other: Team;
  let deep: string;

  const read = async <Name extends EndpointName>(
    name: Name,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<AnswerOf<Name>> => {
    const endpoint = endpoints.find(({ path }) => path === PATHS[name]);
    assert.ok(endpoint);
    const result = await readEndpoint(endpoint, parameters, signal);
    assert.ok(result.is === 'answer', JSON.stringify(result));
    return result.body as AnswerOf<Name>;
  };

  before('populate an installation', async function () {
    this.timeout(300_000);
    installation = await makeWatchedInstallation();
    await installation.start();
    team = await claimTeam(installation, CONTACT);
    deep = `queue/${team.namespace}/deep`;
    await team.channel.assertQueue(deep);
    await team.channel.assertQueue(`queue/${team.namespace}/it's <b>odd</b> \u202e`);
    await team.fill(deep, 30);
    await installation.logged('queue_warning', { queue: deep });
    const operator = await installation.rpc(REVOKER);
    await operator.request('revoke-namespace', { namespace: team.namespace });
    await (await installation.rpc(TEAM)).request('claim-namespace', { namespace: team.namespace, contact: CONTACT });
    other = await claimTeam(installation, CONTACT);
    endpoints = await openApi(installation);
  });

  after('remove it', () => installation.remove());

  it('answers whether it is healthy, and how much there is', async () => {
    // Right after the start of an agent the age of the statistics is unknown.
    await waitUntil(async () => (await read('overview')).state === 'well', 'nothing is missing');
    const overview = await read('overview');
    assert.deepEqual(overview.findings, []);
    assert.deepEqual(overview.namespaces, { provisioning: 0, active: 2, expiring: 0 });
    assert.deepEqual(overview.queues, { total: 2, warned: 1, deleting: 0, messages: 30 });
    assert.equal(overview.agents?.length, 1);
    assert.equal(overview.agents?.[0]?.state, 'ready');
    assert.match(overview.broker.version ?? '', /^\d/);
    assert.equal(overview.store.kind, 'lmdb');
    // The agent writes its record every 10 s.
    await waitUntil(async () => (await read('overview')).survey?.seconds !== undefined, 'a survey is in the record');
    const { survey } = await read('overview');
    assert.equal(survey?.outcome, 'ok');
    assert.equal(survey.by, overview.agents?.[0]?.instance);
    assert.equal(survey.isLate, false);
  });

  it('lists the queues, the deepest first, with when one is deleted', async () => {
    const { total, items, trendAt } = await read('queues');
    assert.equal(total, 2);
    const [first, second] = items;
    assert.equal(first?.queue, deep);
    assert.deepEqual(
      [first.state, first.messages, first.ready, first.unacknowledged, first.next?.action, first.next?.at],
      ['warned', 30, 30, 0, 'delete', LOW_THRESHOLDS.deleteAtMessages],
    );
    assert.equal(first.trend.at(-1), 30);
    assert.equal(first.trend.length, trendAt.length);
    assert.equal(second?.messages, 0);
    assert.deepEqual(
      (await read('queues', { state: 'alert' })).items.map(({ queue }) => queue),
      [deep],
    );
    assert.deepEqual((await read('queues', { search: '<B>ODD' })).total, 1);
    assert.deepEqual(
      (await read('queues', { sort: 'messages', order: 'asc' })).items.map(({ messages }) => messages),
      [0, 30],
    );
    const page = await read('queues', { offset: '1', limit: '1' });
    assert.deepEqual([page.total, page.items.length, page.items[0]?.messages], [2, 1, 0]);
    assert.equal((await read('queues', { namespace: 'taskcluster-none' })).total, 0);
  });

  it('adds consumers and bytes once the statistics are listed', async () => {
    await waitUntil(async () => (await read('queues')).items[0]?.bytes === 300, 'the bytes of a queue');
    assert.equal((await read('queues')).items[0]?.consumers, 0);
  });

  it('has the history of a queue, and of none that never was', async () => {
    const { points, limits, queue } = await read('queueHistory', { queue: deep });
    assert.equal(queue, deep);
    assert.deepEqual(points.at(-1)?.slice(1), [30, 30, 0]);
    assert.deepEqual([limits.warnAtMessages, limits.deleteAtMessages], [20, 50]);
    const endpoint = endpoints.find(({ path }) => path === PATHS.queueHistory);
    assert.ok(endpoint);
    assert.deepEqual(await readEndpoint(endpoint, { queue: 'queue/taskcluster-none/x' }, signal), { is: 'missing' });
  });

  it('lists the namespaces, and finds them by name and by holder', async () => {
    const { total, items, countsAt } = await read('namespaces', { sort: 'messages' });
    assert.equal(total, 2);
    assert.ok(countsAt !== undefined);
    const [row] = items;
    assert.deepEqual(
      [row?.namespace, row?.state, row?.holder, row?.queues, row?.messages],
      [team.namespace, 'active', TEAM, 2, 30],
    );
    assert.ok(row?.reclaimBy !== undefined && row.nextRotation !== undefined);
    assert.equal((await read('namespaces', { search: TEAM.toUpperCase() })).total, 2);
    assert.equal((await read('namespaces', { search: other.namespace })).total, 1);
    assert.equal((await read('namespaces', { search: 'nobody' })).total, 0);
    assert.equal((await read('namespaces', { state: 'expiring' })).total, 0);
  });

  it('has all of one namespace: who rotated it and why, its queues, what comes and what can be done', async () => {
    const one = await read('namespace', { name: team.namespace });
    assert.equal(one.generation, 3);
    assert.deepEqual(
      one.accounts.map(({ isActive, generation }) => [isActive, generation]),
      [
        [true, 3],
        [false, 2],
      ],
    );
    assert.deepEqual(
      [one.lastRotation?.action, one.lastRotation?.who, one.lastRotation?.reason],
      ['revocation', REVOKER, 'requested by an operator'],
    );
    assert.ok(one.revoked !== undefined);
    assert.deepEqual(one.queueRows.map(({ queue }) => queue).length, 2);
    assert.ok(one.planned.some(({ action }) => action === 'recheck'));
    assert.ok(one.planned.some(({ action, queues }) => action === 'delete' && queues === 2));
    assert.equal(one.audit[0]?.namespace, team.namespace);
    assert.ok(one.commands.some(({ command }) => command === `pulse-agent exempt ${deep} --until 24h`));
    assert.ok(Array.isArray(one.openConnections));
    const endpoint = endpoints.find(({ path }) => path === PATHS.namespace);
    assert.ok(endpoint);
    assert.deepEqual(await readEndpoint(endpoint, { name: 'taskcluster-none' }, signal), { is: 'missing' });
  });

  it('plans the next hours, with when queues reach their thresholds', async () => {
    const { steps } = await read('plan');
    const rotation = steps.find(({ action }) => action === 'rotate');
    assert.deepEqual([rotation?.namespace, rotation?.count, rotation?.isForecast], [other.namespace, 1, false]);
    assert.deepEqual(
      steps.map(({ at }) => at),
      steps.map(({ at }) => at).toSorted(),
    );
  });

  it('pages through the audit, the newest first, and filters it', async () => {
    const all = await read('audit', { limit: '200' });
    assert.ok(all.items.length >= 4);
    assert.equal(all.next, undefined);
    const ids: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await read('audit', { limit: '2', ...(after === undefined ? {} : { after }) });
      ids.push(...page.items.map(({ id }) => id));
      if ((after = page.next) === undefined) break;
    }
    assert.deepEqual(
      ids,
      all.items.map(({ id }) => id),
    );
    const byOperator = await read('audit', { who: REVOKER });
    assert.deepEqual(
      byOperator.items.map(({ action }) => action),
      ['revocation'],
    );
    const claims = await read('audit', { action: 'claim', namespace: team.namespace });
    assert.ok(claims.items.length >= 1 && claims.items.every(({ action }) => action === 'claim'));
    assert.equal((await read('audit', { until: '2020-01-01T00:00:00.000Z' })).items.length, 0);
  });

  it('has the parts, jobs and risks', async () => {
    const health = await read('health');
    assert.ok(health.jobs?.some(({ job }) => job === 'reconcile-broker'));
    assert.ok(health.agents?.[0]?.parts.some(({ part, state }) => part === 'management' && state === 'up'));
    assert.deepEqual(health.risks, [{ choice: 'a-choice', sentence: 'It is risky.' }]);
  });

  it('shows no contact, secret, connection string or address of a client', async () => {
    const answers = await Promise.all([
      read('overview'),
      read('namespaces'),
      read('namespace', { name: team.namespace }),
      read('queues'),
      read('queueHistory', { queue: deep }),
      read('plan', { hours: '168' }),
      read('plan', { namespace: team.namespace }),
      read('audit', { limit: '200' }),
      read('health'),
    ]);
    const text = JSON.stringify(answers);
    const { environment, config } = installation;
    const secrets = Object.entries(environment)
      .filter(([name]) => /SECRET|PASSWORD|TOKEN/.test(name))
      .map(([, value]) => value);
    assert.ok(secrets.length >= 3);
    for (const secret of [...secrets, new URL(config.rabbitmqUrl.reveal()).password, CONTACT, 'owner-of-queues']) {
      assert.ok(!text.includes(secret), secret);
    }
    assert.doesNotMatch(text, /:\/\/[^/"\s]*@/);
    assert.doesNotMatch(text, /\d+\.\d+\.\d+\.\d+:\d+ -> /);
    assert.doesNotMatch(text, /127\.0\.0\.1|::1/);
  });

  it('answers what it can while the management API does not, and says that the rest is unknown', async () => {
    const url = new URL(installation.config.rabbitmqManagementUrl.reveal());
    url.port = '1';
    const working = endpoints;
    endpoints = await openApi(installation, new Secret(url.href));
    try {
      const overview = await read('overview');
      assert.deepEqual([overview.broker.answers, overview.queues, overview.namespaces?.active], [false, undefined, 2]);
      assert.ok(overview.findings.some(({ about }) => about === 'management'));
      const { items } = await read('namespaces');
      assert.deepEqual(
        items.map(({ queues }) => queues),
        [undefined, undefined],
      );
      const one = await read('namespace', { name: team.namespace });
      assert.deepEqual([one.state, one.queues, one.openConnections, one.trendAt], ['active', undefined, undefined, []]);
      assert.ok((await read('plan')).steps.some(({ action, queues }) => action === 'delete' && queues === undefined));
      await assert.rejects(read('queues'), { name: 'BrokerUnavailable' });
      await assert.rejects(read('queueHistory', { queue: deep }), { name: 'BrokerUnavailable' });
      assert.ok((await read('audit')).items.length > 0);
      assert.equal((await read('health')).agents?.length, 1);
    } finally {
      endpoints = working;
    }
  });
});
