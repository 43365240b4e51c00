import assert from 'node:assert/strict';
import type { ConfirmChannel } from 'amqplib';
import type { Agent } from '../../src/agent/agent.ts';
import type { Lease } from '../../src/client/lease.ts';
import { requestUrl } from '../../src/client/request-url.ts';
import { forEachConcurrently } from '../../src/util/concurrency.ts';
import { createLog } from '../../src/util/log.ts';
import {
  clientEnvironment,
  makeInstallation,
  TEAM,
  teamNamespace,
  type TestInstallation,
  withPort,
} from '../support/agent.ts';
import { BROKER_START_MS, openConnection, useSharedBroker } from '../support/broker.ts';
import { runCommandLine } from '../support/command-line.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { makeRelay, type TcpRelay } from '../support/tcp-relay.ts';
import { createTestLog, type TestLog } from '../support/test-log.ts';
import { waitUntil } from '../support/watched-installation.ts';

type Relays = readonly [TcpRelay, TcpRelay];

describe('several addresses of one RabbitMQ', function () {
  this.timeout(120_000);
  const broker = useSharedBroker();
  const mongodb = useSharedMongoDB();

  /** The same URL, through each relay. */
  const through = (url: string, relays: readonly TcpRelay[]): string =>
    relays.map(({ port }) => withPort(url, port)).join(',');

  const makeRelays = async (port: number): Promise<Relays> => [await makeRelay(port), await makeRelay(port)];

  /** Starts an agent of the installation that has other URLs. It begins with the first of each. */
  async function start(
    installation: TestInstallation,
    urls: Readonly<Record<string, string>>,
  ): Promise<{ agent: Agent } & Pick<TestLog, 'logged'>> {
    const { write, logged } = createTestLog();
    const log = createLog(installation.config, { write });
    const agent = await installation.start({ environment: urls, log, random: () => 0 });
    return { agent, logged };
  }

  describe('for an agent', () => {
    let amqp: Relays;
    let management: Relays;
    let installation: TestInstallation;

    before('make an installation', async function () {
      this.timeout(BROKER_START_MS);
      [amqp, management] = [await makeRelays(broker().amqpPort), await makeRelays(broker().managementPort)];
      installation = await makeInstallation();
      // The first of each is down when it starts.
      amqp[0].cut();
      management[0].cut();
      const { vhost } = installation;
      await start(installation, {
        RABBITMQ_URL: through(vhost.amqpUrl, amqp),
        RABBITMQ_MANAGEMENT_URL: through(vhost.managementUrl, management),
        PUBLIC_AMQP_URL: `amqp://127.0.0.1:${broker().amqpPort}`,
      });
      for (const relays of [amqp, management]) relays[0].restore();
    });

    const claim = async (): Promise<void> => {
      const client = installation.client();
      const { connectionString } = await client.claimNamespace({ namespace: teamNamespace() });
      await (await openConnection(connectionString)).close();
      await client.close();
    };

    it('start at the first that works', async () => {
      assert.ok(amqp[1].open() >= 4);
      await claim();
    });

    it('serve first claims when the AMQP address in use is lost', async () => {
      amqp[1].cut();
      await claim();
      assert.ok(amqp[0].open() >= 2);
      await waitUntil(() => amqp[0].open() >= 4, 'every connection has moved');
      amqp[1].restore();
    });

    it('serve first claims when the management API in use is lost, and when it hangs', async () => {
      const used = management.findIndex((relay) => relay.open() > 0);
      management[used]?.cut();
      await claim();
      management[used]?.restore();
      const other = management[1 - used];
      await waitUntil(() => (other?.open() ?? 0) > 0, 'the other one is used');
      other?.stall();
      await claim();
      other?.restore();
    });
  });

  describe('for clients', () => {
    let installation: TestInstallation;
    let requests: Relays;
    let tenants: Relays;

    before('make an installation', async function () {
      this.timeout(BROKER_START_MS);
      [requests, tenants] = [await makeRelays(broker().amqpPort), await makeRelays(broker().amqpPort)];
      installation = await makeInstallation();
      const publicUrls = tenants.map(({ port }) => `amqp://127.0.0.1:${port}`).join(',');
      await start(installation, { PUBLIC_AMQP_URL: publicUrls });
    });
    afterEach(() => {
      for (const relay of [...requests, ...tenants]) relay.restore();
    });

    const clientUrl = (): string => through(installation.claimantUrl, requests);
    const clientThrough = () => installation.client(TEAM, { url: clientUrl() });

    it('are all in a claim, of which the first is the same each time', async () => {
      const namespace = teamNamespace();
      const client = clientThrough();
      const first = await client.claimNamespace({ namespace });
      const second = await client.claimNamespace({ namespace });
      assert.equal(first.connectionString, second.connectionString);
      assert.equal(first.connectionStrings?.[0], first.connectionString);
      const ports = first.connectionStrings?.map((url) => new URL(url).port);
      assert.deepEqual(ports?.toSorted(), tenants.map(({ port }) => String(port)).toSorted());
      for (const url of first.connectionStrings ?? []) await (await openConnection(url)).close();
    });

    it('are tried in turn for a request', async () => {
      const client = clientThrough();
      for (const relay of requests) {
        relay.cut();
        assert.equal((await client.ping()).alive, true);
        relay.restore();
      }
    });

    it('are all tried, and a refused password ends that', async () => {
      const url = through(installation.claimantUrl, requests).replaceAll(installation.claimantPassword, 'wrong');
      const before = requests.map((relay) => relay.accepted());
      await assert.rejects(installation.client(TEAM, { url }).ping(), { code: 'BrokerRefused' });
      const tried = requests.map((relay, index) => String(relay.accepted() - (before[index] ?? 0)));
      assert.deepEqual(tried.toSorted(), ['0', '1']);
      for (const relay of requests) relay.cut();
      const unreachable = clientThrough().ping({ timeoutMs: 1_000 });
      await assert.rejects(unreachable, { code: 'Unavailable' });
    });

    it('keep a connection of a lease', async () => {
      const lease: Lease = await clientThrough().lease({ namespace: teamNamespace() });
      const events: string[] = [];
      const connection = await lease.connect(async (opened) => await opened.createConfirmChannel());
      connection.on('disconnected', () => void events.push('disconnected'));
      connection.on('connected', () => void events.push('connected'));
      connection.on('failing', ({ error }) => void events.push(`failing: ${error.message}`));
      const used = tenants.find((relay) => relay.open() > 0);
      used?.cut();
      await connection.use(async (channel: ConfirmChannel) => await channel.checkExchange('amq.topic'));
      await waitUntil(() => events.length === 2, 'it is back');
      assert.deepEqual(events, ['disconnected', 'connected']);
      await lease.stop();
    });

    it('come one after the other from lease.credentials', async () => {
      const lease = await clientThrough().lease({ namespace: teamNamespace() });
      const given = [];
      for (let calls = 0; calls < 3; calls += 1) given.push((await lease.credentials()).connectionString);
      const [first, second] = lease.connectionStrings;
      assert.deepEqual(given, [first, second, first]);
      assert.equal(lease.connectionString, first);
      await lease.stop();
    });

    it('are shown by the command claim without a password, unless it is asked for', async () => {
      const environment = { ...clientEnvironment(installation), PULSE_AGENT_URL: clientUrl() };
      const namespace = teamNamespace();
      const { connectionStrings = [] } = await clientThrough().claimNamespace({ namespace });
      const password = new URL(connectionStrings[0] ?? '').password;
      const claimed = async (...options: string[]): Promise<string> => {
        const run = await runCommandLine(['claim', namespace, ...options], environment);
        assert.equal(await run.exited, 0, run.stderr());
        return run.stdout();
      };
      const text = await claimed();
      assert.ok(
        tenants.every(({ port }) => text.includes(`:…@127.0.0.1:${port}`)),
        text,
      );
      assert.ok(![text, await claimed('--json')].some((output) => output.includes(password)));
      const shown = JSON.parse(await claimed('--json', '--show-credentials')) as object;
      assert.deepEqual('connectionStrings' in shown && shown.connectionStrings, connectionStrings);
    });

    it('let a lease claim with its own credentials', async () => {
      const lease = await clientThrough().lease({ namespace: teamNamespace() });
      tenants[0].cut();
      const { connectionStrings } = lease;
      const url = requestUrl(connectionStrings.join(), installation.config.requestVhost);
      assert.equal((await installation.client(TEAM, { url }).ping()).alive, true);
      await lease.stop();
    });
  });

  it('of which an agent reaches none leave first claims to the other agent', async () => {
    const claims = 48;
    const management = await makeRelay(broker().managementPort);
    const installation = await makeInstallation({ environment: { STORE_URL: mongoDatabase(mongodb()) } });
    const { managementUrl } = installation.vhost;
    const cut = await start(installation, { RABBITMQ_MANAGEMENT_URL: through(managementUrl, [management]) });
    const healthy = await start(installation, {});
    const rpc = await installation.rpc(TEAM);
    const served = (): number[] =>
      [cut, healthy].map(({ agent }) => agent.requestCounts.get('claim-namespace result') ?? 0);
    const claimAll = async (): Promise<number[]> => {
      const before = served();
      const since = (): number[] => served().map((count, index) => count - (before[index] ?? 0));
      // Without retries: one refusal fails the test.
      await forEachConcurrently(Array.from({ length: claims }, teamNamespace), 8, async (namespace) => {
        await rpc.request('claim-namespace', { namespace });
      });
      // An agent counts a request after the client has its reply.
      await waitUntil(() => since().reduce((sum, count) => sum + count) === claims, 'every claim is counted');
      return since();
    };
    const [byCut = 0, byHealthy = 0] = await claimAll();
    assert.ok(byCut > 0 && byHealthy > 0, 'both serve');

    management.cut();
    assert.deepEqual(await claimAll(), [0, claims]);
    await cut.logged('management_unreachable');
    const givenBack = cut.agent.requestCounts.get('claim-namespace given-back') ?? 0;
    if (givenBack > 0) await cut.logged('request_given_back');
    assert.deepEqual(await claimAll(), [0, claims]);
    assert.equal(cut.agent.requestCounts.get('claim-namespace given-back') ?? 0, givenBack, 'it gets none any more');

    management.restore();
    await cut.logged('management_reachable');
    const [again = 0] = await claimAll();
    assert.ok(again > 0, 'it serves again');

    // Alone it answers, instead of giving requests back to itself.
    await healthy.agent.stop();
    management.cut();
    await assert.rejects(rpc.request('claim-namespace', { namespace: teamNamespace() }), { code: 'Unavailable' });
  });
});
