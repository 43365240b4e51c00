import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'amqplib';
import { REVOKER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { errorOf, makeLease, makeProxy, portOf, roundTrip, through } from '../support/proxy-room.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

describe('outages around the AMQP proxy', function () {
  this.timeout(120_000);
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 2 } });
  const brokerPort = (): number => installation().broker.amqpPort;

  describe('without RabbitMQ', () => {
    it('a new connection waits some seconds, and then learns why not', async () => {
      const relay = await makeRelay(brokerPort());
      const lease = await makeLease(installation());
      const proxy = await makeProxy({ lease: through(lease, [relay.port]) });
      const connection = await openConnection(proxy.url);
      const lost = errorOf(connection);
      relay.cut();
      const error = await lost;
      assert.equal(error.code, 320);
      assert.match(error.message, /The connection to RabbitMQ was lost\./);
      const startedMs = performance.now();
      await assert.rejects(connect(proxy.url), /320.*CONNECTION.FORCED.*cannot be reached/);
      assert.ok(performance.now() - startedMs > 2000, 'it waits');
      const waiting = connect(proxy.url);
      await delay(300);
      relay.restore();
      await roundTrip(await waiting, lease.namespace, 10);
    });

    it('at one address another one is tried', async () => {
      const relays = [await makeRelay(brokerPort()), await makeRelay(brokerPort())];
      const lease = await makeLease(installation());
      const ports = relays.map(({ port }) => port);
      const proxy = await makeProxy({ lease: through(lease, ports) });
      for (const relay of relays) {
        relay.stall();
        await roundTrip(await openConnection(proxy.url), lease.namespace, 10);
        relay.restore();
      }
    });

    it('at its addresses so far, those are tried that a later claim has brought', async () => {
      const relay = await makeRelay(brokerPort());
      const lease = await makeLease(installation());
      const ports = [relay.port];
      const proxy = await makeProxy({ lease: through(lease, ports) });
      await roundTrip(await openConnection(proxy.url), lease.namespace, 10);
      relay.cut();
      ports.push(brokerPort());
      await roundTrip(await openConnection(proxy.url), lease.namespace, 10);
    });
  });

  it('after a revocation no login fails: the proxy claims again', async () => {
    const lease = await makeLease(installation());
    const proxy = await makeProxy({ lease });
    const connection = await openConnection(proxy.url);
    const ended = errorOf(connection);
    await (await installation().rpc(REVOKER)).request('revoke-namespace', { namespace: lease.namespace });
    assert.equal((await ended).code, 320);
    await roundTrip(await openConnection(proxy.url), lease.namespace, 10);
  });

  it('a proxy that starts again: its clients connect again with the same URL', async () => {
    const clients = 10;
    const lease = await makeLease(installation());
    let proxy = await makeProxy({ lease });
    const { url } = proxy;
    const port = portOf(proxy);
    const done = new AbortController();
    addCleanup(() => done.abort());
    const over = once(done.signal, 'abort');
    let open = 0;
    const runClient = async (): Promise<void> => {
      while (!done.signal.aborted) {
        try {
          const connection = await connect(url);
          open += 1;
          const error = await Promise.race([errorOf(connection), over]);
          open -= 1;
          if (error instanceof Error) assert.match(error.message, /320.*The proxy starts again/);
          else await connection.close();
        } catch (error) {
          // No login is refused.
          assert.match((error as Error).message, /ECONNREFUSED|320.*The proxy starts again/);
          await delay(20);
        }
      }
    };
    const running = Promise.all(Array.from({ length: clients }, runClient));
    for (let starts = 0; starts < 3; starts += 1) {
      await Promise.race([running, waitUntil(() => open === clients, 'all clients are connected')]);
      await proxy.close('The proxy starts again.');
      proxy = await makeProxy({ lease, port });
    }
    await Promise.race([running, waitUntil(() => open === clients, 'all clients are connected')]);
    done.abort();
    await running;
  });

  // It stops the agent, so it comes last.
  it('while no agent answers, connections stay and new ones open with what the proxy holds', async () => {
    const client = installation().client(TEAM, { timeoutMs: 1000 });
    const lease = await client.lease({ namespace: teamNamespace() });
    const proxy = await makeProxy({ lease });
    const connection = await openConnection(proxy.url);
    await installation().agent.stop();
    await once(lease, 'failing');
    // The credentials should have been replaced by now.
    await delay(Math.max(0, lease.reclaimAt.getTime() - Date.now()));
    await once(lease, 'failing');
    await roundTrip(connection, lease.namespace, 10);
    await roundTrip(await openConnection(proxy.url), lease.namespace, 10);
    const before = lease.connectionString;
    const renewed = once(lease, 'renewed');
    await installation().start();
    await renewed;
    await roundTrip(await openConnection(proxy.url), lease.namespace, 10);
    await roundTrip(connection, lease.namespace, 10);
    assert.notEqual(lease.connectionString, before);
  });
});
