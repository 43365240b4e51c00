import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { PulseAgentClient } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/client-options.ts';
import * as errors from '../../src/client/client-errors.ts';
import { systemTime } from '../../src/client/time.ts';
import type { MethodName } from '../../src/contract/methods.ts';
import { readReply } from '../../src/contract/reply.ts';
import { readAuthorization } from '../../src/contract/signature.ts';
import { NEWCOMER, REVOKER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { cutConnections, openConnection } from '../support/broker.ts';
import { makeRelay } from '../support/tcp-relay.ts';

const HOUR_MS = 3_600_000;

describe('PulseAgentClient', () => {
  const installation = useInstallation();

  function makeClient(clientId?: string, options?: Partial<ClientOptions>): PulseAgentClient {
    return installation().client(clientId, options);
  }

  /** The claimant URL through a relay. */
  function through(port: number): string {
    const url = new URL(installation().claimantUrl);
    url.port = String(port);
    return url.href;
  }

  it('calls every method', async () => {
    const client = makeClient();
    const [namespace, other] = [teamNamespace(), teamNamespace()];
    assert.equal((await client.ping()).alive, true);
    const expires = new Date(Date.now() + 10 * HOUR_MS);
    const claim = await client.claimNamespace({ namespace, expires, contact: 'team@example.com' });
    assert.equal(claim.expires, expires.toISOString());
    await openConnection(claim.connectionString);
    await client.claimNamespace({ namespace: other });
    assert.equal((await client.getNamespace(namespace)).state, 'active');

    const listed: string[] = [];
    for await (const { namespace: name } of client.listNamespaces({ pageSize: 1 })) listed.push(name);
    assert.ok([namespace, other].every((name) => listed.includes(name)));

    const until = new Date(Date.now() + HOUR_MS);
    const operator = makeClient(REVOKER);
    assert.deepEqual(await operator.revokeNamespace(other, { until }), {
      namespace: other,
      revokedUntil: until.toISOString(),
    });
    await assert.rejects(client.claimNamespace({ namespace: other }), errors.RequestConflict);
    assert.deepEqual(await client.releaseNamespace(namespace), { namespace, state: 'expiring' });
  });

  it('signs a request for details, and no other that need not be signed', async () => {
    const namespace = teamNamespace();
    const client = makeClient();
    await client.claimNamespace({ namespace });
    assert.equal((await client.getNamespace(namespace)).details, undefined);
    const { details } = await client.getNamespace(namespace, { details: true });
    assert.equal(details?.holder, TEAM);
    const holders = new Map<string, string | undefined>();
    for await (const one of client.listNamespaces({ details: true, pageSize: 1 })) {
      holders.set(one.namespace, one.details?.holder);
    }
    assert.equal(holders.get(namespace), TEAM);
    const other = await makeClient(NEWCOMER).getNamespace(namespace, { details: true });
    assert.equal(other.details, undefined);
    await assert.rejects(
      makeClient(TEAM, { credentials: { clientId: '', accessToken: '' } }).getNamespace(namespace, { details: true }),
      { code: 'AuthenticationFailed', message: /^Details of namespaces need a signature/ },
    );
  });

  it('sends every field of a lease request with its claims', async () => {
    const client = makeClient();
    const expires = new Date(Date.now() + 10 * HOUR_MS);
    const lease = await client.lease({
      namespace: teamNamespace(),
      contact: 'team@example.com',
      expires: () => expires,
    });
    assert.deepEqual(lease.expires, expires);
    await lease.stop();
    const refused = client.lease({ namespace: teamNamespace(), contact: 'no address' });
    await assert.rejects(refused, { code: 'InputError' });
    await client.close();
  });

  it('uses a given connection and leaves it open', async () => {
    const connection = await openConnection(installation().claimantUrl);
    const client = makeClient(TEAM, { connection });
    await client.claimNamespace({ namespace: teamNamespace() });
    await client.close();
    await (await connection.createChannel()).close();
  });

  it('requests another connection when the given one is closed', async () => {
    let asked = 0;
    const client = makeClient(TEAM, {
      connection: () => {
        asked += 1;
        return openConnection(installation().claimantUrl);
      },
    });
    await client.ping();
    await client.ping();
    assert.equal(asked, 1);
    await closeClaimantConnections();
    await client.ping();
    assert.equal(asked, 2);
  });

  async function closeClaimantConnections(): Promise<void> {
    const { broker, names } = installation();
    await cutConnections(broker, names.claimantUser);
  }

  it('throws an error class of its own for each refusal', async () => {
    const stranger = makeClient(NEWCOMER);
    const namespace = teamNamespace();
    await assert.rejects(stranger.claimNamespace({ namespace }), (error) => {
      assert.ok(error instanceof errors.InsufficientScopes && error instanceof errors.PulseAgentError);
      assert.deepEqual([error.code, error.retryable, error.name], ['InsufficientScopes', false, 'InsufficientScopes']);
      assert.deepEqual(error.details, { required: `pulse:namespace:${namespace}`, clientId: NEWCOMER });
      return true;
    });
    await assert.rejects(stranger.getNamespace(namespace), errors.ResourceNotFound);
    await assert.rejects(stranger.getNamespace('x y'), errors.InputError);
    const impostor = makeClient(TEAM, { credentials: { clientId: TEAM, accessToken: 'wrong' } });
    await assert.rejects(impostor.claimNamespace({ namespace }), errors.AuthenticationFailed);
  });

  it('reads the current credentials from a function', async () => {
    const { taskcluster } = installation();
    const client = makeClient(TEAM, { credentials: async () => taskcluster.credentials(TEAM) });
    await client.claimNamespace({ namespace: teamNamespace() });
  });

  it('reports which clock is off and by how much', async () => {
    const time = { ...systemTime, nowMs: () => Date.now() + HOUR_MS };
    const claim = makeClient(TEAM, { time }).claimNamespace({ namespace: teamNamespace() });
    await assert.rejects(claim, (error) => {
      assert.ok(error instanceof errors.ClockSkew && error instanceof errors.AuthenticationFailed);
      assert.ok(Math.abs(error.aheadMs - HOUR_MS) < 60_000);
      assert.match(error.message, /^The clock of this machine is about 3[56]\d\d s ahead of the agent's clock/);
      return true;
    });
  });

  it('distinguishes an unknown method from other faults', async () => {
    const requester = await installation().requester();
    const { properties, content } = await requester.request({ method: 'make-coffee' });
    const reply = readReply(properties, content);
    assert.ok(reply.kind === 'error');
    const error = errors.toClientError(reply.error, Date.now());
    assert.ok(error instanceof errors.MethodNotServed);
    assert.ok((error.details['methods'] as MethodName[]).includes('claim-namespace'));
  });

  it('reports that no agent with this id or contract version has run', async () => {
    const url = installation().vhost.requestUrl;
    const ping = makeClient(TEAM, { url, id: 'agent-of-tomorrow', timeoutMs: 1500 }).ping();
    await assert.rejects(ping, (error) => {
      assert.ok(error instanceof errors.Unavailable && !error.mayHaveActed);
      assert.match(error.message, /^No agent with the id agent-of-tomorrow that speaks v1 has run in this vhost/);
      return true;
    });
  });

  it('reports a refusal of RabbitMQ immediately and without the password', async () => {
    const { claimantUrl } = installation();
    const wrong = new URL(claimantUrl);
    wrong.password = 'not-the-password';
    for (const [options, message] of [
      [{ url: wrong.href }, /^RabbitMQ refuses the user or its password/],
      [{ url: claimantUrl, id: 'nobodys' }, /^RabbitMQ does not let this user send requests/],
    ] as const) {
      await assert.rejects(makeClient(TEAM, options).ping(), (error) => {
        assert.ok(error instanceof errors.BrokerRefused, inspect(error));
        assert.match(error.message, message);
        assert.doesNotMatch(inspect(error), /not-the-password/);
        return true;
      });
    }
  });

  it('reconnects, and resends a request that found no broker, until its timeout', async () => {
    const relay = await makeRelay(installation().broker.amqpPort);
    const client = makeClient(TEAM, { url: through(relay.port) });
    await client.ping();
    relay.cut();
    const late = client.ping({ timeoutMs: 1200 });
    await assert.rejects(late, (error) => error instanceof errors.Unavailable && error.retryable);
    const patient = client.claimNamespace({ namespace: teamNamespace() });
    relay.restore();
    await patient;
  });

  it('closes a connection once, however many requests found that it is lost', async () => {
    const relay = await makeRelay(installation().broker.amqpPort);
    const client = makeClient(TEAM, { url: through(relay.port) });
    await client.ping();
    relay.freeze();
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const lost = Array.from({ length: 20 }, () => assert.rejects(client.ping({ timeoutMs: 300 }), errors.Unavailable));
    await Promise.all(lost);
    await client.close();
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });

  it('does not wait for a dead connection that was not closed', async () => {
    const relay = await makeRelay(installation().broker.amqpPort);
    const urls = [through(relay.port), installation().claimantUrl];
    const client = makeClient(TEAM, { connection: () => openConnection(urls.shift() ?? '') });
    await client.ping();
    relay.stall();
    await assert.rejects(client.ping({ timeoutMs: 700 }), /RabbitMQ did not confirm the request in time/);
    await client.ping();
    relay.cut();
  });

  it('closes a connection that stopped answering', async () => {
    const relay = await makeRelay(installation().broker.amqpPort);
    const client = makeClient(TEAM, { url: through(relay.port) });
    await client.ping();
    relay.stall();
    // Heartbeats would notice after two minutes.
    await client.close();
  });

  it('times out when a given connection does not answer, or never opens', async () => {
    const relay = await makeRelay(installation().broker.amqpPort);
    const given = makeClient(TEAM, { connection: await openConnection(through(relay.port)) });
    await given.ping();
    relay.stall();
    await given.close();
    relay.cut();
    const connection = await openConnection(installation().claimantUrl);
    let come = (): void => undefined;
    const coming = new Promise<typeof connection>((resolve) => {
      come = () => resolve(connection);
    });
    let waiting: PulseAgentClient | undefined;
    let ping: Promise<void> | undefined;
    await new Promise<void>((asked) => {
      const ask = (): typeof coming => {
        asked();
        return coming;
      };
      waiting = makeClient(TEAM, { connection: ask });
      ping = assert.rejects(waiting.ping());
    });
    await waiting?.close();
    await ping;
    const open = connection.createConfirmChannel.bind(connection);
    const closed = new Promise<void>((resolve) => {
      connection.createConfirmChannel = async (options) => {
        const channel = await open(options);
        return channel.once('close', resolve);
      };
    });
    come();
    await closed;
  });

  it('connects in time or reports the failure', async () => {
    const relay = await makeRelay(installation().broker.amqpPort);
    relay.stall();
    await assert.rejects(
      makeClient(TEAM, { url: through(relay.port) }).ping({ timeoutMs: 500 }),
      (error) => error instanceof errors.Unavailable && !error.mayHaveActed,
    );
  });

  it('aborts with the signal of a call, with that of the client, and when it is closed', async () => {
    const relay = await makeRelay(installation().broker.amqpPort);
    relay.stall();
    const reason = new Error('Enough.');
    const ofCall = new AbortController();
    const ofClient = new AbortController();
    const client = makeClient(TEAM, { url: through(relay.port), signal: ofClient.signal });
    const calls = [client.ping({ signal: ofCall.signal }), client.ping()] as const;
    ofCall.abort(reason);
    await assert.rejects(calls[0], reason);
    ofClient.abort();
    await assert.rejects(calls[1], errors.ClientClosed);
    await assert.rejects(client.ping(), errors.ClientClosed);
    await assert.rejects(makeClient(TEAM, { signal: AbortSignal.abort() }).ping(), errors.ClientClosed);
  });

  it('closes a connection that it does not use, and shows no secret when printed', async () => {
    const client = makeClient();
    await client.ping();
    assert.doesNotMatch(inspect(client, { depth: 10, showHidden: true }), /amqp:|accessToken/);
    await client.close();
  });
});

describe('PulseAgentClient without an agent', () => {
  const installation = useInstallation();

  before('stop the agent', () => installation().agent.stop());

  it('lets a request expire that waited too long, and signs each attempt again', async function () {
    this.timeout(60_000);
    const { names, vhost } = installation();
    const dead = await installation().deadLetters();
    const client = installation().client();
    const namespace = teamNamespace();
    await assert.rejects(client.claimNamespace({ namespace }, { timeoutMs: 400 }), (error) => {
      assert.ok(error instanceof errors.Unavailable && error.mayHaveActed && error.retryable);
      return true;
    });
    await dead.find(() => true);
    const connection = await openConnection(vhost.requestUrl);
    const channel = await connection.createChannel();
    assert.equal((await channel.checkQueue(names.requestQueue)).messageCount, 0);

    const nonces = new Set<string>();
    const seen = new Promise<void>((resolve, reject) => {
      const take = (message: Parameters<Parameters<typeof channel.consume>[1]>[0]): void => {
        nonces.add(readAuthorization(message?.properties.headers?.['authorization']).nonce);
        if (nonces.size === 2) resolve();
        // The first one is never answered; the client resends it after its connection is cut.
        else void cutConnections(installation().broker, names.claimantUser).catch(reject);
      };
      channel.consume(names.requestQueue, take, { noAck: true }).catch(reject);
    });
    const claim = client.claimNamespace({ namespace });
    claim.catch(() => undefined);
    await seen;
    await client.close();
    await assert.rejects(claim, errors.ClientClosed);
  });

  it('does not repeat a release that may have been served', async () => {
    const release = installation().client().releaseNamespace(teamNamespace(), { timeoutMs: 700 });
    await assert.rejects(release, (error) => error instanceof errors.Unavailable && error.mayHaveActed);
  });
});
