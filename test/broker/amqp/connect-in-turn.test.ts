import assert from 'node:assert/strict';
import { closeConnection } from '../../../src/broker/amqp/connection.ts';
import { createOnDemandConnection } from '../../../src/broker/amqp/on-demand-connection.ts';
import { connectRascal } from '../../../src/broker/amqp/rascal-connection.ts';
import { openRecoveringConnection } from '../../../src/broker/amqp/recovering-connection.ts';
import { type AddressChoice, createAddressChoice } from '../../../src/contract/address-choice.ts';
import { Secret } from '../../../src/util/secret.ts';
import { createVhost, cutConnections, sharedBroker, type TestVhost, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeRelay, type TcpRelay } from '../../support/tcp-relay.ts';
import { waitUntil } from '../../support/watched-installation.ts';

describe('a connection with several addresses', function () {
  this.timeout(60_000);
  useSharedBroker();

  interface Addresses {
    readonly relays: readonly [TcpRelay, TcpRelay];
    readonly vhost: TestVhost;
    readonly amqpUrl: Secret;
    readonly addressChoice: AddressChoice;
    /** Lets the time of all avoided addresses pass. */
    readonly pass: () => void;
  }

  async function make(): Promise<Addresses> {
    const { amqpPort } = await sharedBroker();
    const vhost = await createVhost();
    const relays = [await makeRelay(amqpPort), await makeRelay(amqpPort)] as const;
    const urls = relays.map(({ port }) => Object.assign(new URL(vhost.amqpUrl), { port: String(port) }).href);
    let nowMs = 0;
    const addressChoice = createAddressChoice(2, { nowMs: () => nowMs, spread: 0 });
    return { relays, vhost, amqpUrl: new Secret(urls.join(',')), addressChoice, pass: () => void (nowMs += 100_000) };
  }

  async function recovering(addresses: Addresses) {
    const { connection, sockets } = await openRecoveringConnection({
      ...addresses,
      connectionName: 'recovering',
      timeouts: { heartbeatSeconds: 1, connectTimeoutMs: 500 },
    });
    connection.on('error', () => undefined);
    addCleanup(() => closeConnection(connection, sockets));
    return connection;
  }

  it('recovers at the next address, stays there, and returns after the next loss', async () => {
    const addresses = await make();
    const [first, second] = addresses.relays;
    const connection = await recovering(addresses);
    await connection.waitForConnect();
    assert.deepEqual([first.open(), second.open()], [1, 0]);
    first.cut();
    await waitUntil(() => second.open() === 1, 'it moved');
    await (await connection.createChannel()).checkExchange('amq.topic');
    first.restore();
    addresses.pass();
    assert.deepEqual([first.open(), second.open()], [0, 1]);
    second.cut();
    await waitUntil(() => first.open() === 1, 'it returned');
    await (await connection.createChannel()).checkExchange('amq.topic');
  });

  it('moves on from an address that accepts connections and answers nothing', async () => {
    const addresses = await make();
    const [first, second] = addresses.relays;
    const connection = await recovering(addresses);
    await connection.waitForConnect();
    first.stall();
    await waitUntil(() => second.open() === 1, 'it moved');
    await (await connection.createChannel()).checkExchange('amq.topic');
  });

  it('starts at the second address, where the first is down, and every other connection then starts there', async () => {
    const addresses = await make();
    const [first, second] = addresses.relays;
    first.cut();
    const connection = await recovering(addresses);
    await connection.waitForConnect();
    assert.deepEqual([first.accepted(), second.open()], [1, 1]);
    const onDemand = createOnDemandConnection({ ...addresses, connectionName: 'on demand' });
    addCleanup(() => onDemand.close());
    await onDemand.use(async () => undefined);
    const rascal = await connectRascal({ ...addresses, vhost: addresses.vhost.vhost, connectionName: 'rascal' }, {});
    addCleanup(() => rascal.close());
    assert.deepEqual([first.accepted(), second.open()], [1, 3]);
  });

  it('tries each address once on demand, and with rascal', async () => {
    const addresses = await make();
    const [first, second] = addresses.relays;
    first.cut();
    const rascal = await connectRascal({ ...addresses, vhost: addresses.vhost.vhost, connectionName: 'rascal' }, {});
    addCleanup(() => rascal.close());
    assert.deepEqual([first.accepted(), second.open()], [1, 1]);
    addresses.pass();
    const onDemand = createOnDemandConnection({ ...addresses, connectionName: 'on demand' });
    addCleanup(() => onDemand.close());
    await onDemand.use(async () => undefined);
    assert.deepEqual([first.accepted(), second.open()], [2, 2]);
    second.cut();
    await rascal.lost;
    await assert.rejects(onDemand.use(async () => undefined));
  });

  it('does not start where no address works, and says why', async () => {
    const addresses = await make();
    for (const relay of addresses.relays) relay.cut();
    const connection = await recovering(addresses);
    await assert.rejects(connection.waitForConnect(), /ECONNRESET|Socket closed abruptly/);
    assert.deepEqual(
      addresses.relays.map((relay) => relay.accepted()),
      [1, 1],
    );
    const account = { ...addresses, vhost: addresses.vhost.vhost, connectionName: 'rascal' };
    await assert.rejects(connectRascal(account, {}), /ECONNRESET|Socket closed abruptly/);
  });

  it('does not avoid an address because RabbitMQ closed one connection', async () => {
    const addresses = await make();
    const [first, second] = addresses.relays;
    const connection = await recovering(addresses);
    await connection.waitForConnect();
    const lost = new Promise<void>((resolve) => void connection.once('disconnect', () => resolve()));
    await cutConnections(await sharedBroker(), addresses.vhost.user, 30_000);
    await lost;
    await (await connection.createChannel()).checkExchange('amq.topic');
    assert.deepEqual([first.accepted(), second.accepted()], [2, 0]);
  });

  it('does not try another address when RabbitMQ refuses what is declared', async () => {
    const addresses = await make();
    const account = { ...addresses, vhost: addresses.vhost.vhost, connectionName: 'rascal' };
    const exchanges = [{ name: 'amq.topic', type: 'direct' as const }];
    await assert.rejects(connectRascal(account, { exchanges }), /PRECONDITION_FAILED/);
    assert.equal(addresses.relays[1].accepted(), 0);
  });
});
