import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'amqplib';
import type { Revoked } from '../../src/namespaces/revoke.ts';
import { fenceMs, settleMs } from '../../src/namespaces/timing.ts';
import { teamNamespace } from '../support/agent.ts';
import { BROKER_START_MS, openConnection, sharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeNamespaceRoom } from '../support/namespace-room.ts';
import { logInRaw } from '../support/raw-amqp.ts';

const { signal } = new AbortController();

/** A namespace, and a client of it that has logged in and waits. */
async function setUp() {
  const room = await makeNamespaceRoom({ rotationIntervalSeconds: 8 });
  const agent = room.addAgent();
  const namespace = teamNamespace();
  const { connectionString } = await agent.claim(namespace);
  const half = await logInRaw(connectionString);
  half.socket.on('error', () => undefined);
  addCleanup(() => void half.socket.destroy());
  return { ...room, agent, namespace, connectionString, half };
}

describe('a connection at the time of a revocation', function () {
  this.timeout(60_000);

  before('start the shared RabbitMQ', async function () {
    this.timeout(BROKER_START_MS);
    await sharedBroker();
  });

  it('that has logged in opens after it, and is closed when late writes are looked for; later ones stay open', async () => {
    const { agent, namespace, connectionString, half, store, config } = await setUp();
    const nonce = { key: 'key', outcome: null, firstSeenMs: Date.now() };
    await agent.revoker.revoke({ namespace, untilMs: undefined, nonce }, signal);
    await assert.rejects(connect(connectionString), /403/);
    // RabbitMQ has looked at the password already.
    await half.open();
    const isClosed = half.frames.method(10, 50);
    const later = await openConnection((await agent.claim(namespace)).connectionString);
    await (await later.createChannel()).close();

    // The broker tells how old a connection is a few seconds late.
    const account = `${config.usernamePrefix}${namespace}-1`;
    const isAged = async (): Promise<boolean> => {
      const open = (await agent.management.listConnections(config.vhost)).filter(({ user }) => user === account);
      return open.length === 2 && open.every(({ connectedAtMs }) => connectedAtMs !== undefined);
    };
    while (!(await isAged())) await sleep(200);
    while (store.peek(namespace)?.recheckMs !== null) {
      await agent.revoker.finish(namespace, signal);
      await sleep(settleMs(agent.intervals) / 10);
    }
    await isClosed;
    await (await later.createChannel()).close();
    const told = agent.events.filter(({ type }) => type === 'connection.closed');
    assert.deepEqual(
      told.map(({ data }) => [data['account'], data['reason']]),
      [[account, 'revoked']],
    );
  });

  it('that has logged in does not open once its namespace has ended', async () => {
    const { agent, namespace, half, store } = await setUp();
    const record = store.peek(namespace) ?? assert.fail();
    store.put({ ...record, state: 'expiring', endReason: 'expired' });
    await agent.endNamespaces([namespace], signal);
    await assert.rejects(half.open());
  });

  it('is left alone when it was opened while the revoking agent was stopped in the middle', async () => {
    const site = await setUp();
    const { namespace, store, agent } = site;
    let goOn = (): void => undefined;
    let revoked: Promise<Revoked> | undefined;
    const stopped = new Promise<void>((reached) => {
      const isContinued = new Promise<void>((resolve) => (goOn = resolve));
      let isFirst = true;
      const slow = site.addAgent({
        async around(step, call) {
          if (step === 'management.closeUserConnections' && isFirst) {
            isFirst = false;
            reached();
            await isContinued;
          }
          return await call();
        },
      });
      const nonce = { key: 'key', outcome: null, firstSeenMs: Date.now() };
      revoked = slow.revoker.revoke({ namespace, untilMs: undefined, nonce }, signal);
    });
    await stopped;
    await agent.revoker.finish(namespace, signal);
    assert.equal(store.peek(namespace)?.state, 'active');
    const later = await openConnection((await agent.claim(namespace)).connectionString);
    let isCut = false;
    later.once('close', () => (isCut = true));
    await sleep(fenceMs(agent.intervals) + 100);
    goOn();
    assert.ok((await revoked)?.isNews);
    await (await later.createChannel()).close();
    assert.ok(!isCut);
  });
});
