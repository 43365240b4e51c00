import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import type { Management } from '../../src/broker/management/management.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import type { Store } from '../../src/store/store.ts';
import { makeInstallation, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { fetchFrom, healthOf, scrape, untilHealth, untilSample } from '../support/agent-http.ts';
import { interceptManagement, interceptStore } from '../support/step-observer.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { linesWith } from '../support/test-log.ts';

const OBSERVED = { httpPort: 0 } as const;

describe('health and metrics of an agent', () => {
  let storeFault: (() => Promise<never>) | undefined;
  let managementFault: (() => Promise<never>) | undefined;
  const wrapStore = (store: Store): Store => ({
    ...interceptStore(store, (_step, call) => storeFault?.() ?? call()),
    check: () => storeFault?.() ?? store.check(),
  });
  const wrapManagement = (management: Management): Management =>
    interceptManagement(management, (_step, call) => managementFault?.() ?? call());
  const installation = useInstallation({
    settings: OBSERVED,
    agent: { wrapStore, wrapManagement },
  });
  const agent = () => installation().agent;

  beforeEach('wait until it is ready', async () => {
    storeFault = undefined;
    managementFault = undefined;
    await installation().taskcluster.acceptConnections();
    installation().taskcluster.behave({ mode: 'normal' });
    await untilHealth(agent(), ({ ready, degraded }) => ready && !degraded);
  });
  afterEach(() => {
    storeFault = undefined;
    managementFault = undefined;
  });

  it('reports liveness and readiness, the state and age of each part, and its identity', async () => {
    const alive = await fetchFrom(agent(), '/healthz');
    assert.equal(alive.status, 200);
    assert.equal(JSON.parse(alive.body).alive, true);
    assert.equal(JSON.parse(alive.body).instance, agent().instance);
    const { status, parts } = await healthOf(agent());
    assert.equal(status, 200);
    for (const [name, { state, since }] of Object.entries(parts)) {
      assert.equal(state, 'up', name);
      assert.ok(Date.parse(since) <= Date.now(), since);
    }
  });

  it('answers only GET and HEAD of its paths', async () => {
    const url = `http://127.0.0.1:${agent().httpPort}`;
    assert.equal((await fetchFrom(agent(), '/')).status, 404);
    assert.equal((await fetchFrom(agent(), '/constructor')).status, 404);
    assert.equal((await fetchFrom(agent(), '/readyz?verbose')).status, 200);
    assert.equal((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status, 405);
    const head = await fetch(`${url}/healthz`, { method: 'HEAD' });
    assert.deepEqual([head.status, await head.text()], [200, '']);
  });

  it('listens on loopback by default', async () => {
    const { networkInterfaces } = await import('node:os');
    const addresses = Object.values(networkInterfaces())
      .flatMap((found) => found ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of addresses) {
      const code = await new Promise((resolve) => {
        const socket = createConnection({ host: address, port: agent().httpPort ?? 0, timeout: 5000 });
        socket.once('connect', () => resolve('connected'));
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
        socket.once('timeout', () => resolve('timeout'));
        socket.once('close', () => socket.destroy());
      });
      assert.notEqual(code, 'connected');
    }
  });

  it('counts its work with labels from closed sets', async () => {
    const rpc = await installation().rpc(TEAM);
    const namespace = teamNamespace();
    await rpc.request('ping', {});
    await rpc.request('claim-namespace', { namespace });
    await assert.rejects(rpc.request('claim-namespace', { namespace: 'taskcluster-foreign' }));
    const before = await scrape(agent());
    for (const [name, least] of [
      ['pulse_agent_request_duration_seconds_count{method="ping",outcome="result"}', 1],
      ['pulse_agent_request_duration_seconds_count{method="claim-namespace",outcome="InsufficientScopes"}', 1],
      ['pulse_agent_auth_duration_seconds_count{outcome="auth-success"}', 2],
      ['pulse_agent_management_duration_seconds_count{operation="putUser",outcome="ok"}', 1],
      ['pulse_agent_store_duration_seconds_count{operation="namespaces.insert",outcome="ok"}', 1],
      ['pulse_agent_job_duration_seconds_count{job_name="rotate-namespaces",outcome="ok"}', 1],
      ['pulse_agent_job_lag_seconds_count{job_name="rotate-namespaces"}', 1],
      ['pulse_agent_events_total{type="namespace.claimed"}', 1],
      ['pulse_agent_notices_waiting', 0],
      ['pulse_agent_queue_alerts{level="warning"}', 0],
      ['pulse_agent_broker_alarms{alarm="memory"}', 0],
      ['pulse_agent_cluster{state="whole"}', 1],
      ['pulse_agent_broker_nodes{state="running"}', 1],
      ['pulse_agent_request_probe_duration_seconds_count', 1],
    ] as const) {
      assert.ok((before.get(name) ?? -1) >= least, `${name} is ${before.get(name)}`);
    }
    const compared = before.get('pulse_agent_job_last_success_timestamp_seconds{job_name="reconcile-broker"}') ?? 0;
    assert.ok(Math.abs(Date.now() / 1000 - compared) < 600, 'the reconciliation at the start counts');
    await untilSample(agent(), 'pulse_agent_namespaces{state="active"}', (count) => (count ?? 0) >= 1);
    const { body } = await fetchFrom(agent(), '/metrics');
    assert.doesNotMatch(body, new RegExp(`${namespace}|taskcluster-foreign|${TEAM}`));
  });

  const troubles: readonly (readonly [string, string, () => unknown])[] = [
    [
      'the store does not answer',
      'store',
      () => (storeFault = () => Promise.reject(new AgentError('StoreUnavailable', 'By a test.'))),
    ],
    [
      'the management API does not answer',
      'management',
      () => (managementFault = () => Promise.reject(new AgentError('BrokerUnavailable', 'By a test.'))),
    ],
    ['Taskcluster is down', 'auth', () => installation().taskcluster.refuseConnections()],
    ['Taskcluster hangs', 'auth', () => installation().taskcluster.behave({ mode: 'hanging' })],
  ];
  for (const [what, part, trouble] of troubles) {
    it(`while ${what} it is live, not ready because of ${part}, and ready again afterwards`, async () => {
      await trouble();
      const health = await untilHealth(agent(), ({ ready }) => !ready);
      assert.equal(health.parts[part as 'store'].state, 'down');
      assert.ok(health.parts[part as 'store'].reason, 'a reason is given');
      assert.equal((await healthOf(agent())).status, 503);
      assert.equal((await fetchFrom(agent(), '/healthz')).status, 200);
      // The metrics are cached for a moment.
      await untilSample(agent(), 'pulse_agent_ready', (value) => value === 0);
      await untilSample(agent(), `pulse_agent_part_up{part="${part}"}`, (value) => value === 0);
      storeFault = undefined;
      managementFault = undefined;
      await installation().taskcluster.acceptConnections();
      installation().taskcluster.behave({ mode: 'normal' });
      await untilHealth(agent(), ({ ready }) => ready);
    });
  }

  it('counts broker events and their delay', async () => {
    const type = 'pulse_agent_broker_events_total{type="user.created"}';
    const before = (await scrape(agent())).get(type) ?? 0;
    await (await installation().rpc(TEAM)).request('claim-namespace', { namespace: teamNamespace() });
    await untilSample(agent(), type, (count) => (count ?? 0) > before);
    assert.ok(((await scrape(agent())).get('pulse_agent_broker_event_lag_seconds_count') ?? 0) > 0);
  });

  it('reports no secret', async () => {
    const { config, claimantPassword, vhost, taskcluster } = installation();
    await taskcluster.refuseConnections();
    await untilHealth(agent(), ({ ready }) => !ready);
    const { body: metrics } = await fetchFrom(agent(), '/metrics');
    const { body: health } = await fetchFrom(agent(), '/readyz');
    for (const secret of [config.agentSecret.reveal(), claimantPassword, vhost.password]) {
      assert.ok(!`${metrics}${health}`.includes(secret));
    }
  });

  it('answers while it is busy, and caches the metrics', async () => {
    const rpc = await installation().rpc(TEAM);
    let counts = 0;
    const claims = Promise.all(
      Array.from({ length: 64 }, () => rpc.request('claim-namespace', { namespace: teamNamespace() })),
    );
    const progress = { over: false };
    const end = (): void => void (progress.over = true);
    claims.then(end, end);
    const bodies = new Set<string>();
    const startedMs = performance.now();
    do {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          fetchFrom(agent(), ['/metrics', '/readyz', '/healthz'][index % 3] ?? ''),
        ),
      );
      for (const [index, { status, body }] of answers.entries()) {
        assert.equal(status, 200, body);
        if (index % 3 === 0) bodies.add(body);
      }
      counts += answers.length;
    } while (!progress.over);
    const elapsedMs = performance.now() - startedMs;
    assert.equal((await claims).length, 64);
    assert.ok(
      bodies.size <= 2 + elapsedMs / 1000,
      `${bodies.size} renderings for ${counts} requests in ${elapsedMs} ms`,
    );
  });

  it('a store that hangs delays no scrape; the agent is live, not ready, and ready again afterwards', async () => {
    const ends: (() => void)[] = [];
    storeFault = () =>
      new Promise((_resolve, reject) => ends.push(() => reject(new AgentError('StoreUnavailable', 'By a test.'))));
    assert.equal((await fetchFrom(agent(), '/metrics')).status, 200);
    await untilHealth(agent(), ({ ready, parts: { store } }) => !ready && store.state === 'down');
    assert.equal((await fetchFrom(agent(), '/healthz')).status, 200);
    storeFault = undefined;
    for (const end of ends) end();
    await untilHealth(agent(), ({ ready }) => ready);
  });
});

describe('health during start and stop', () => {
  it('reports which parts still start, and nothing after the stop', async () => {
    const installation = await makeInstallation({ settings: OBSERVED });
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    // The start hangs at the first call of the management API.
    const wrapManagement = (management: Management): Management => ({
      ...management,
      getGlobalParameter: async (...args) => await held.then(() => management.getGlobalParameter(...args)),
    });
    const starting = installation.start({ wrapManagement });
    const { port } = await installation.logged('http_server_started');
    const early = { httpPort: port } as Awaited<typeof starting>;
    assert.equal((await fetchFrom(early, '/healthz')).status, 200);
    const health = await untilHealth(
      early,
      ({ parts }) => parts.store.state === 'up' && parts.management.state === 'up',
    );
    assert.equal(health.ready, false);
    for (const part of ['topology', 'requests', 'replies', 'jobs'] as const) {
      assert.equal(health.parts[part].state, 'starting', part);
    }
    release();
    const agent = await starting;
    await untilHealth(agent, ({ ready }) => ready);
    await agent.stop();
    await assert.rejects(fetchFrom(agent, '/healthz'), 'the port is closed');
  });

  it('refuses a port that is in use with one sentence', async () => {
    const installation = await makeInstallation({ settings: OBSERVED });
    const { httpPort } = await installation.start();
    const second = await makeInstallation({ settings: { httpPort: httpPort ?? 0 } });
    await assert.rejects(second.start(), (error) => {
      assert.ok(error instanceof AgentError, String(error));
      assert.equal(error.code, 'ConfigurationFault');
      assert.match(error.message, /HTTP_PORT \d+ at 127\.0\.0\.1 \(EADDRINUSE\)/);
      return true;
    });
  });

  it('serves no HTTP without a port', async () => {
    const installation = await makeInstallation();
    assert.equal((await installation.start()).httpPort, undefined);
    assert.ok(linesWith(installation.log, 'http_server_started').length === 0);
  });

  it('without broker events it is ready and degraded', async () => {
    const installation = await makeInstallation({ settings: { ...OBSERVED, eventVhost: 'nowhere' } });
    const agent = await installation.start();
    const { degraded, parts } = await untilHealth(agent, ({ ready }) => ready);
    assert.equal(degraded, true);
    assert.notEqual(parts['broker-events'].state, 'up');
  });
});

describe('an agent without its MongoDB', function () {
  this.timeout(120_000);
  const mongodb = useSharedMongoDB();

  it('is live and not ready, runs no jobs, and is ready again afterwards', async () => {
    const storeUrl = new URL(mongoDatabase(mongodb()));
    const relay = await makeRelay(Number(storeUrl.port));
    storeUrl.port = String(relay.port);
    storeUrl.searchParams.set('directConnection', 'true');
    const installation = await makeInstallation({ settings: OBSERVED, environment: { STORE_URL: storeUrl.href } });
    const agent = await installation.start();
    await untilHealth(agent, ({ ready }) => ready);
    relay.cut();
    const { ready, parts } = await untilHealth(
      agent,
      ({ parts: { store, jobs } }) => store.state === 'down' && jobs.state === 'down',
    );
    assert.equal(ready, false);
    assert.doesNotMatch(JSON.stringify(parts), /mongodb:\/\//);
    assert.equal((await fetchFrom(agent, '/healthz')).status, 200);
    assert.equal((await scrape(agent)).get('pulse_agent_ready'), 0);
    relay.restore();
    await untilHealth(agent, (health) => health.ready);
  });
});
