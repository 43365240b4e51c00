import assert from 'node:assert/strict';
import { createOnDemandConnection, type OnDemandConnection } from '../../../src/broker/amqp/on-demand-connection.ts';
import { Secret } from '../../../src/util/secret.ts';
import { sharedBroker, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeRelay, type TcpRelay } from '../../support/tcp-relay.ts';
import { waitUntil } from '../../support/watched-installation.ts';

describe('an on-demand connection', function () {
  this.timeout(30_000);
  useSharedBroker();

  async function make(): Promise<{ relay: TcpRelay; connection: OnDemandConnection }> {
    const { amqpPort, amqpUrl } = await sharedBroker();
    const relay = await makeRelay(amqpPort);
    const url = new URL(amqpUrl);
    url.port = String(relay.port);
    const connection = createOnDemandConnection({ amqpUrl: new Secret(url.href), connectionName: 'on demand' });
    addCleanup(() => connection.close());
    return { relay, connection };
  }

  it('opens on first use, once for concurrent users, and again after a loss', async () => {
    const { relay, connection } = await make();
    assert.equal(relay.open(), 0);
    const used = async (): Promise<unknown> =>
      await connection.use(async (opened) => await (await opened.createChannel()).checkExchange('amq.topic'));
    await Promise.all([used(), used()]);
    assert.equal(relay.open(), 1);
    relay.restore();
    await waitUntil(() => relay.open() === 0, 'it is lost');
    await used();
    assert.equal(relay.open(), 1);
    await connection.close();
    await waitUntil(() => relay.open() === 0, 'it is closed');
  });

  it('closes while RabbitMQ does not answer, and rejects the work in progress', async () => {
    const { relay, connection } = await make();
    const channel = await connection.use((opened) => opened.createChannel());
    channel.on('error', () => undefined);
    relay.stall();
    const working = connection.use(() => channel.checkExchange('amq.topic'));
    await Promise.all([assert.rejects(working), connection.close()]);
    await waitUntil(() => relay.open() === 0, 'nothing is left open');
  });

  it('closes while it is connecting', async () => {
    const { relay, connection } = await make();
    relay.stall();
    const working = connection.use(async () => undefined);
    await waitUntil(() => relay.open() === 1, 'it knocks');
    await Promise.all([assert.rejects(working), connection.close()]);
    await waitUntil(() => relay.open() === 0, 'nothing is left open');
  });
});
