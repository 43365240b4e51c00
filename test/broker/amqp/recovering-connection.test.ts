import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import type { ChannelModel } from 'amqplib';
import { closeConnection } from '../../../src/broker/amqp/connection.ts';
import { openRecoveringConnection } from '../../../src/broker/amqp/recovering-connection.ts';
import { Secret } from '../../../src/util/secret.ts';
import { createVhost, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeRelay } from '../../support/tcp-relay.ts';
import { waitUntil } from '../../support/watched-installation.ts';

describe('a recovering connection', function () {
  this.timeout(60_000);
  const broker = useSharedBroker();

  it('releases its former sockets, and can cut the current one', async () => {
    const relay = await makeRelay(broker().amqpPort);
    const url = new URL((await createVhost()).amqpUrl);
    url.port = String(relay.port);
    const { connection, sockets } = await openRecoveringConnection({
      amqpUrl: new Secret(url.href),
      connectionName: 'recovering',
      timeouts: { heartbeatSeconds: 10, connectTimeoutMs: 100 },
    });
    addCleanup(() => closeConnection(connection, sockets));
    connection.on('error', () => undefined);
    // Not `once` of Node, which rejects on an error.
    const next = (event: string): Promise<void> =>
      new Promise((resolve) => void connection.once(event, () => resolve()));
    await connection.waitForConnect();
    const listeners = getEventListeners(sockets.signal, 'abort').length;
    for (let round = 0; round < 3; round += 1) {
      const disconnected = next('disconnect');
      relay.cut();
      await disconnected;
      for (let tries = 0; tries < 2; tries += 1) await next('connect-failed');
      relay.restore();
      await next('connect');
    }
    assert.equal(getEventListeners(sockets.signal, 'abort').length, listeners);
    const cut = next('disconnect');
    sockets.abort();
    await cut;
  });

  it('destroys the socket of a connection whose other side is gone', async () => {
    const relay = await makeRelay(broker().amqpPort);
    const url = new URL((await createVhost()).amqpUrl);
    url.port = String(relay.port);
    const { connection, sockets } = await openRecoveringConnection({
      amqpUrl: new Secret(url.href),
      connectionName: 'recovering',
      timeouts: { heartbeatSeconds: 1, connectTimeoutMs: 500 },
    });
    addCleanup(() => closeConnection(connection, sockets));
    connection.on('error', () => undefined);
    const opened = new Promise<ChannelModel>((resolve) => void connection.once('connect', resolve));
    await connection.waitForConnect();
    const { stream } = (await opened).connection as unknown as { readonly stream: Duplex };
    const lost = new Promise<void>((resolve) => void connection.once('disconnect', () => resolve()));
    relay.freeze();
    await lost;
    await waitUntil(() => stream.destroyed, 'the socket is destroyed');
  });
});
