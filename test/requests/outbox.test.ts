import assert from 'node:assert/strict';
import { nodeNameHash, readDirectReplyTo } from '../../src/broker/amqp/direct-reply-to.ts';
import { createRequesterNodes } from '../../src/broker/management/requester-nodes.ts';
import { createOutbox } from '../../src/requests/outbox.ts';
import { ReplyIsolation } from '../../src/requests/reply-isolation.ts';
import { systemClock, systemSleep } from '../../src/util/clock.ts';
import { createLog } from '../../src/util/log.ts';
import { addCleanup } from '../support/cleanup.ts';
import { FakeReplyBroker, type Reaction } from '../support/fake-reply-broker.ts';
import { replyAddress } from '../support/reply-address.ts';

const NODES = ['rabbit@a', 'rabbit@b', 'rabbit@c'] as const;
type NodeName = (typeof NODES)[number];

/** An address of this number on a node. */
const addressAt = (node: NodeName, id: number): string =>
  replyAddress({ node: `reply@${nodeNameHash(node)}`, id, key: Buffer.alloc(16) });

interface Room {
  readonly running: Set<NodeName>;
  /** How the nodes are listed; as they are when absent. */
  listNodes?: () => Promise<readonly { readonly name: string; readonly running: boolean }[]>;
  /** Addresses that close the connection though their node runs. */
  readonly deadly: Set<string>;
  /** What the broker does with anything else. */
  otherwise: Reaction;
}

/** An outbox at a fake broker with three nodes, which all run. */
function openRoom(sendDeadlineMs = 20_000) {
  const room: Room = { running: new Set(NODES), deadly: new Set(), otherwise: 'confirm' };
  const nodeOf = new Map(NODES.map((name) => [`reply@${nodeNameHash(name)}`, name]));
  const broker = new FakeReplyBroker((routingKey) => {
    const pid = Buffer.from(routingKey.split('.')[3] ?? '', 'base64').toString('latin1');
    const node = nodeOf.get(/reply@\d+/.exec(pid)?.[0] ?? '');
    if (room.deadly.has(routingKey) || (node !== undefined && !room.running.has(node))) return 'kill';
    return room.otherwise;
  });
  const lines: { code: string; dropped?: number }[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as { code: string });
  const log = createLog({ id: 'agent', logLevel: 'info' }, { write });
  const listed = async () => NODES.map((name) => ({ name, running: room.running.has(name) }));
  const nodes = createRequesterNodes({
    listNodes: () => (room.listNodes ?? listed)(),
    otpRelease: async () => 25,
    clock: systemClock,
    sleep: systemSleep,
    signal: new AbortController().signal,
    repeatMs: 5,
  });
  const parts = { nodes, clock: systemClock, sleep: systemSleep, log };
  const isolation = new ReplyIsolation({ ...parts, connection: broker.separate });
  const { connection } = broker;
  const outbox = createOutbox({ ...parts, connection, isolation, sendDeadlineMs, close: async () => undefined });
  addCleanup(() => outbox.close());
  broker.open();
  const send = (routingKey: string, exchange = '') => {
    const hash = readDirectReplyTo(routingKey)?.nodeHash;
    const node = hash === undefined ? {} : { node: { hash, sinceMs: systemClock.monotonicMs() } };
    return outbox.send({ exchange, routingKey, content: Buffer.alloc(0), options: {}, ...node });
  };
  const sendMany = (node: NodeName, count: number) =>
    Promise.all(Array.from({ length: count }, (_, id) => send(addressAt(node, id))));
  return { room, broker, outbox, lines, nodes, send, sendMany };
}

const unlisted = (): Promise<never> => Promise.reject(new Error('the management API is down'));
const countOf = (outcomes: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
};

describe('the outbox', () => {
  it('drops all replies to a node that has died after one of them closed the connection', async () => {
    const { room, broker, lines, sendMany, send } = openRoom();
    await sendMany('rabbit@b', 2);
    room.running.delete('rabbit@a');
    const [gone, alive, letter] = await Promise.all([
      sendMany('rabbit@a', 750),
      sendMany('rabbit@b', 50),
      send('', 'rpc/dead'),
    ]);
    assert.deepEqual(countOf(gone), { 'requester-gone': 750 });
    assert.deepEqual(countOf([...alive, letter]), { confirmed: 51 });
    assert.deepEqual(broker.deaths, { shared: 1, separate: 0 });
    assert.deepEqual(
      lines.filter(({ code }) => code === 'replies_dropped').map(({ dropped }) => dropped),
      [750],
    );
  });

  it('sends nothing to the dead node while it is being found out', async () => {
    const { room, broker, outbox, sendMany } = openRoom();
    await sendMany('rabbit@b', 2);
    let list = (): void => undefined;
    room.listNodes = async () => {
      await new Promise<void>((resolve) => (list = resolve));
      return NODES.map((name) => ({ name, running: room.running.has(name) }));
    };
    room.running.delete('rabbit@a');
    const first = sendMany('rabbit@a', 10);
    while (broker.deaths.shared === 0) await new Promise(setImmediate);
    const later = sendMany('rabbit@a', 10);
    while (!outbox.connected) await new Promise(setImmediate);
    // Without a suspicion about its node, a reply does not wait for the listing.
    assert.deepEqual(countOf(await sendMany('rabbit@b', 10)), { confirmed: 10 });
    delete room.listNodes;
    list();
    assert.deepEqual(countOf([...(await first), ...(await later)]), { 'requester-gone': 20 });
    assert.deepEqual(broker.deaths, { shared: 1, separate: 0 });
  });

  it('loses few connections and no other reply while the nodes cannot be listed', async () => {
    const { room, broker, sendMany } = openRoom();
    await sendMany('rabbit@b', 2);
    room.listNodes = unlisted;
    room.running.delete('rabbit@a');
    const waves: Promise<string[]>[] = [];
    for (let wave = 0; wave < 3; wave += 1) {
      const [gone, alive] = [sendMany('rabbit@a', 250), sendMany('rabbit@b', 20)];
      assert.deepEqual(countOf(await alive), { confirmed: 20 });
      waves.push(gone);
    }
    const gone = (await Promise.all(waves)).flat();
    assert.deepEqual(countOf(gone), { refused: 750 });
    assert.ok(broker.deaths.shared <= 3, `${broker.deaths.shared} deaths of the shared connection`);
    assert.ok(broker.deaths.separate <= 6, `${broker.deaths.separate} deaths of the separate connection`);
  });

  for (const [what, listNodes] of [
    ['', undefined],
    [' while the nodes cannot be listed', unlisted],
  ] as const) {
    it(`refuses only deadly messages to a node that runs${what}`, async () => {
      const { room, broker, send, sendMany } = openRoom();
      await sendMany('rabbit@b', 2);
      if (listNodes !== undefined) room.listNodes = listNodes;
      const deadly = [500, 501, 502].map((id) => addressAt('rabbit@b', id));
      for (const address of deadly) room.deadly.add(address);
      const [before, killers, after] = await Promise.all([
        sendMany('rabbit@b', 20),
        Promise.all(deadly.map((address) => send(address))),
        sendMany('rabbit@b', 20),
      ]);
      assert.deepEqual(countOf(killers), { refused: 3 });
      assert.deepEqual(countOf([...before, ...after]), { confirmed: 40 });
      assert.deepEqual(broker.deaths, { shared: 1, separate: 3 });
      // The node is under no suspicion any more.
      assert.deepEqual(countOf(await sendMany('rabbit@b', 20)), { confirmed: 20 });
      assert.deepEqual(broker.deaths, { shared: 1, separate: 3 });
    });
  }

  it('does not list the nodes more often than allowed, whichever side closes the connection', async () => {
    const { room, broker, send } = openRoom();
    let listings = 0;
    room.listNodes = async () => {
      listings += 1;
      return NODES.map((name) => ({ name, running: true }));
    };
    const startedMs = systemClock.monotonicMs();
    for (let id = 0; id < 20; id += 1) {
      room.deadly.add(addressAt('rabbit@b', id));
      assert.equal(await send(addressAt('rabbit@b', id)), 'refused');
      assert.equal(await send(addressAt('rabbit@a', id)), 'confirmed');
    }
    assert.equal(broker.deaths.separate, 20);
    // Timers may be a little early.
    const allowed = 2 + (systemClock.monotonicMs() - startedMs) / 4;
    assert.ok(listings <= allowed, `${listings} listings`);
  });

  it('sends nothing again to the node that went down with the connection', async () => {
    const { room, broker, sendMany } = openRoom();
    room.otherwise = 'nothing';
    const [gone, alive] = [sendMany('rabbit@a', 100), sendMany('rabbit@b', 10)];
    while (broker.arrived.length < 110) await new Promise(setImmediate);
    room.running.delete('rabbit@a');
    room.otherwise = 'confirm';
    broker.cut();
    assert.deepEqual(countOf(await gone), { 'requester-gone': 100 });
    assert.deepEqual(countOf(await alive), { confirmed: 10 });
    assert.deepEqual(broker.deaths, { shared: 0, separate: 0 });
  });

  it('does not take a node for gone that was down before the request came', async () => {
    const { room, nodes, send } = openRoom();
    room.running.delete('rabbit@a');
    await nodes.listAgain();
    room.running.add('rabbit@a');
    assert.equal(await send(addressAt('rabbit@a', 1)), 'confirmed');
  });

  it('gives a message up at its deadline while it is sent alone', async () => {
    const { room, broker, send, sendMany } = openRoom(100);
    const killer = addressAt('rabbit@a', 500);
    room.deadly.add(killer);
    const given = sendMany('rabbit@a', 3);
    const refused = send(killer);
    while (broker.deaths.shared === 0) await new Promise(setImmediate);
    room.otherwise = 'nothing';
    await assert.rejects(given, { code: 'BrokerUnavailable' });
    await Promise.allSettled([refused]);
    room.otherwise = 'confirm';
    room.deadly.clear();
    assert.deepEqual(countOf(await sendMany('rabbit@b', 3)), { confirmed: 3 });
  });

  it('fails what is in question when it is closed', async () => {
    const { room, broker, outbox, sendMany } = openRoom();
    room.listNodes = () => new Promise(() => undefined);
    room.running.delete('rabbit@a');
    const outcomes = Promise.allSettled([sendMany('rabbit@a', 5)]);
    while (broker.deaths.shared === 0) await new Promise(setImmediate);
    await outbox.close();
    const [outcome] = await outcomes;
    assert.equal(outcome?.status === 'rejected' && (outcome.reason as { code: string }).code, 'Stopping');
  });
});
