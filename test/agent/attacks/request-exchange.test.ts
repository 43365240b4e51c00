import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import { requestUrl } from '../../../src/client/request-url.ts';
import { makeInstallation, OTHER, TEAM, teamNamespace, type TestInstallation } from '../../support/agent.ts';
import { BROKER_START_MS, manage, openConnection, sharedBroker } from '../../support/broker.ts';
import { healthOf } from '../../support/agent-http.ts';
import { unique } from '../../support/folders.ts';

/** A first claim makes about six calls of the management API; the slowest before the attack may take this, in ms. */
const PROMPT_MS = 1000;
/** On a busy machine claims are slow without an attack: then this many times the slowest of those is allowed. */
const NOISE = 5;
const CLAIM_EVERY_MS = 100;
/** First claims of the other client; then it claims the last name again. */
const FIRST_CLAIMS = 30;

/** Claims by another client, one after the other. */
interface Claiming {
  /** Fails when a claim failed, or took much longer than the slowest before the attack. */
  stop(): Promise<void>;
}

async function startClaiming(installation: TestInstallation): Promise<Claiming> {
  const rpc = await installation.rpc(OTHER);
  let namespace = unique('taskcluster-other');
  const claim = async (): Promise<number> => {
    const startedMs = performance.now();
    await rpc.request('claim-namespace', { namespace });
    return performance.now() - startedMs;
  };
  let quietMs = 0;
  for (let count = 0; count < 5; count += 1) {
    namespace = unique('taskcluster-other');
    quietMs = Math.max(quietMs, await claim());
  }
  const isOver = new AbortController();
  const during: number[] = [];
  const claiming = (async () => {
    while (!isOver.signal.aborted) {
      if (during.length < FIRST_CLAIMS) namespace = unique('taskcluster-other');
      during.push(await claim());
      await sleep(CLAIM_EVERY_MS);
    }
  })();
  claiming.catch(() => undefined);
  return {
    async stop() {
      isOver.abort();
      await claiming;
      const allowedMs = Math.max(PROMPT_MS, NOISE * quietMs);
      const slowestMs = Math.max(...during);
      assert.ok(slowestMs <= allowedMs, `a claim took ${slowestMs} ms; ${quietMs} ms before the attack`);
    },
  };
}

/** Runs an operation that RabbitMQ must refuse, on a channel of its own. */
async function assertRefused(
  connection: ChannelModel,
  operation: (channel: Awaited<ReturnType<ChannelModel['createChannel']>>) => Promise<unknown>,
): Promise<void> {
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  await assert.rejects(operation(channel), /ACCESS[_-]REFUSED/);
}

describe('the holder of one namespace', function () {
  this.timeout(BROKER_START_MS);
  let installation: TestInstallation;
  let namespace: string;
  /** The vhost of the tenants, and that of the requests, with the attacker's credentials. */
  let tenants: ChannelModel;
  let requests: ChannelModel;

  before('start an installation, and claim a namespace for the attacker', async () => {
    await sharedBroker();
  });
  beforeEach(async () => {
    installation = await makeInstallation({ settings: { httpPort: 0 } });
    namespace = teamNamespace();
  });

  const claimForAttacker = async (): Promise<void> => {
    const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    tenants = await openConnection(connectionString);
    requests = await openConnection(requestUrl(connectionString, installation.config.requestVhost));
  };

  /** How many messages wait in the queue of the requests. */
  const waiting = async (): Promise<number> => {
    const admin = await (await openConnection(installation.vhost.requestUrl)).createChannel();
    return (await admin.checkQueue(installation.names.requestQueue)).messageCount;
  };

  it('cannot dead-letter into the request exchange, with 60 queues and a busy exchange', async () => {
    const agent = await installation.start();
    await claimForAttacker();
    const { rpcExchange } = installation.names;
    const claiming = await startClaiming(installation);
    const intoRequests = { deadLetterExchange: rpcExchange, deadLetterRoutingKey: 'ping', messageTtl: 0 };
    for (let count = 0; count < 60; count += 1) {
      const queue = `queue/${namespace}/s${count}`;
      // There is no such exchange among the tenants: the right to write to it is missing, whether it exists or not.
      await assertRefused(tenants, async (channel) => await channel.assertQueue(queue, intoRequests));
      await assertRefused(requests, async (channel) => await channel.assertQueue(queue, intoRequests));
    }
    await assertRefused(
      tenants,
      async (channel) =>
        await channel.assertExchange(`exchange/${namespace}/x`, 'topic', { alternateExchange: rpcExchange }),
    );
    await assertRefused(tenants, async (channel) => await channel.assertQueue('queue/x', { deadLetterExchange: '' }));
    // Dead-lettering into an exchange of its own is allowed. It stays among the tenants.
    const busy = `exchange/${namespace}/busy`;
    const channel = await tenants.createConfirmChannel();
    await channel.assertExchange(busy, 'fanout');
    await channel.assertExchange(`exchange/${namespace}/dead`, 'fanout');
    for (let count = 0; count < 60; count += 1) {
      const queue = `queue/${namespace}/s${count}`;
      await channel.assertQueue(queue, {
        deadLetterExchange: `exchange/${namespace}/dead`,
        deadLetterRoutingKey: 'ping',
        messageTtl: 0,
      });
      await channel.bindQueue(queue, busy, '');
    }
    for (let count = 0; count < 300; count += 1) channel.publish(busy, 'ping', Buffer.from('{}'));
    await channel.waitForConfirms();
    assert.ok((await waiting()) < 10);
    await claiming.stop();
    assert.equal((await healthOf(agent)).status, 200);
    assert.ok(!installation.log.some((line) => line.includes('"outcome":"dropped"')));
  });

  it('cannot bind to the request exchange; 20,000 bindings of its own delay no claim and no start', async () => {
    const agent = await installation.start();
    await claimForAttacker();
    const { rpcExchange, requestQueue } = installation.names;
    const claiming = await startClaiming(installation);
    const [from, to] = [`exchange/${namespace}/from`, `exchange/${namespace}/to`];
    const channel = await tenants.createChannel();
    await channel.assertExchange(from, 'topic');
    await channel.assertExchange(to, 'topic');
    for (const [connection, source] of [
      [tenants, from],
      [requests, from],
      [requests, rpcExchange],
      [requests, 'amq.topic'],
    ] as const) {
      await assertRefused(connection, async (own) => await own.bindExchange(rpcExchange, source, '#', { n: 1 }));
    }
    await assertRefused(requests, async (own) => await own.bindQueue(requestQueue, rpcExchange, '#'));
    await assertRefused(requests, async (own) => await own.assertExchange(from, 'topic'));
    await assertRefused(requests, async (own) => await own.assertQueue('', { exclusive: true }));

    const binds = Array.from({ length: 20_000 }, (_, n) => channel.bindExchange(to, from, `key.${n}`, { n }));
    await Promise.all(binds);
    await claiming.stop();
    assert.equal((await healthOf(agent)).status, 200);
    assert.ok((await waiting()) < 10);

    await agent.stop();
    const next = await installation.start();
    await (await installation.rpc(OTHER)).request('claim-namespace', { namespace: unique('taskcluster-other') });
    assert.equal((await healthOf(next)).status, 200);
    // Nothing that the attacker made is touched: it is allowed.
    const { vhost, broker } = installation;
    const path = `/exchanges/${encodeURIComponent(vhost.vhost)}/${encodeURIComponent(from)}/bindings/source`;
    const { body } = await manage(broker, 'GET', path);
    assert.equal((body as unknown[]).length, 20_000);
  });
});
