import assert from 'node:assert/strict';
import { createOnDemandConnection, type OnDemandConnection } from '../../../src/broker/amqp/on-demand-connection.ts';
import { Secret } from '../../../src/util/secret.ts';
import { sharedBroker, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeRelay, type TcpRelay } from '../../support/tcp-relay.ts';
import { waitUntil } from '../../support/watched-installation.ts';

describe('a connection on demand', function () {
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

  it('is opened when it is used, once for all, and again after it was lost', async () => {
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

  it('is closed when RabbitMQ does not answer any more, and who works with it is told', async () => {
    const { relay, connection } = await make();
    const channel = await connection.use((opened) => opened.createChannel());
    channel.on('error', () => undefined);
    relay.stall();
    const working = connection.use(() => channel.checkExchange('amq.topic'));
    await Promise.all([assert.rejects(working), connection.close()]);
    await waitUntil(() => relay.open() === 0, 'nothing is left open');
  });

  it('is closed while RabbitMQ does not let it in', async () => {
    const { relay, connection } = await make();
    relay.stall();
    const working = connection.use(async () => undefined);
    await waitUntil(() => relay.open() === 1, 'it knocks');
    await Promise.all([assert.rejects(working), connection.close()]);
    await waitUntil(() => relay.open() === 0, 'nothing is left open');
  });
});
