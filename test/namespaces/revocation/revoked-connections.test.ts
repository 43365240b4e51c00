import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'amqplib';
import { systemClock } from '../../../src/util/clock.ts';
import type { Revoked } from '../../../src/namespaces/revocation/revoke.ts';
import { credentialSettlementMs, fenceMs } from '../../../src/namespaces/timing.ts';
import { teamNamespace } from '../../support/agent.ts';
import { BROKER_START_MS, manage, openConnection, sharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeNamespaceRoom } from '../../support/namespace-room.ts';
import { logInRaw } from '../../support/raw-amqp.ts';
import type { Around } from '../../support/step-observer.ts';

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

  /** Revokes it, and returns how to add agents by whose clock the recheck is due. */
  const revoke = async (site: Awaited<ReturnType<typeof setUp>>) => {
    const { agent, namespace } = site;
    const nonce = { key: 'key', outcome: null, firstSeenMs: Date.now() };
    await agent.revoker.revoke({ namespace, untilMs: undefined, nonce }, signal);
    const clock = { ...systemClock, nowMs: () => Date.now() + credentialSettlementMs(agent.intervals) };
    return (around?: Around) => site.addAgent({ clock, ...(around && { around }) });
  };

  it('is closed when the revocation answers, of both accounts, and neither account opens another', async () => {
    const site = await setUp();
    const { agent, namespace, store, config, connectionString } = site;
    const record = store.peek(namespace) ?? assert.fail();
    store.put({ ...record, nextRotationMs: 0 });
    await agent.rotation.sweep(signal);
    const given = [connectionString, (await agent.claim(namespace)).connectionString];
    for (const url of given) await openConnection(url);
    await revoke(site);
    for (const [index, url] of given.entries()) {
      await assert.rejects(connect(url), /403/);
      const account = `${config.usernamePrefix}${namespace}-${index + 1}`;
      assert.equal(new URL(url).username, account);
      assert.deepEqual(await agent.management.listUserConnections(account), []);
    }
  });

  it('that has logged in opens after it, and is closed by the recheck, however new it is', async () => {
    const site = await setUp();
    const { agent, namespace, connectionString, half, store, config } = site;
    const addLater = await revoke(site);
    await assert.rejects(connect(connectionString), /403/);
    // RabbitMQ has checked the password already.
    await half.open();
    const isClosed = half.frames.method(10, 50);
    const account = `${config.usernamePrefix}${namespace}-1`;
    while ((await agent.management.listUserConnections(account)).length === 0) await sleep(5);
    await agent.revoker.finish(namespace, signal);
    assert.deepEqual(agent.events, []);

    const later = addLater();
    await later.revoker.finish(namespace, signal);
    await isClosed;
    assert.equal(store.peek(namespace)?.recheckAtMs, null);
    const reported = later.events.map(({ type, data }) => [type, data['account'], data['reason']]);
    assert.deepEqual(reported, [['connection.closed', account, 'revoked']]);
  });

  it('is closed once by the recheck, whenever its client connects or claims again in between', async () => {
    const site = await setUp();
    const { agent, namespace, store } = site;
    const addLater = await revoke(site);
    const { connectionString } = await agent.claim(namespace);
    await openConnection(connectionString);
    let claims = 0;
    const later = addLater(async (step, call) => {
      if (step === 'namespaces.replace' && claims < 3) {
        claims += 1;
        await agent.claim(namespace);
      }
      const result = await call();
      if (step === 'management.closeUserConnections') await openConnection(connectionString);
      return result;
    });
    await later.revoker.finish(namespace, signal);
    assert.equal(claims, 3);
    assert.equal(store.peek(namespace)?.recheckAtMs, null);
    assert.equal(later.events.length, 1);
  });

  it('gets a recheck of its own when one that began too early finishes late enough', async () => {
    const site = await setUp();
    const { agent, namespace, store } = site;
    await revoke(site);
    let laterMs = 0;
    const clock = {
      nowMs: () => systemClock.nowMs() + laterMs,
      monotonicMs: () => systemClock.monotonicMs() + laterMs,
    };
    const early = site.addAgent({
      clock,
      async around(step, call) {
        if (step === 'management.getUser') laterMs = credentialSettlementMs(agent.intervals);
        return await call();
      },
    });
    await early.revoker.finish(namespace, signal);
    assert.notEqual(laterMs, 0);
    assert.notEqual(store.peek(namespace)?.recheckAtMs, null);
  });

  it('gets another recheck when the recheck finds a wrong password, before that is repaired', async () => {
    const site = await setUp();
    const { agent, namespace, connectionString, store, config, broker } = site;
    const addLater = await revoke(site);
    const account = `${config.usernamePrefix}${namespace}-1`;
    const { password } = new URL(connectionString);
    // As by a late write from before the revocation.
    await manage(broker, 'PUT', `/users/${account}`, { password: decodeURIComponent(password), tags: '' });
    const half = await logInRaw(connectionString);
    addCleanup(() => void half.socket.destroy());
    const stopped = new Error('stopped by the test');
    const dying = addLater(async (step, call) => {
      const result = await call();
      if (step === 'management.putUser') throw stopped;
      return result;
    });
    await assert.rejects(dying.revoker.finish(namespace, signal), stopped);
    await assert.rejects(connect(connectionString), /403/);
    const later = addLater();
    await later.revoker.finish(namespace, signal);
    assert.notEqual(store.peek(namespace)?.recheckAtMs, null);
    await half.open();
    const isClosed = half.frames.method(10, 50);
    const clock = { ...systemClock, nowMs: () => Date.now() + 2 * credentialSettlementMs(agent.intervals) + 1000 };
    await site.addAgent({ clock }).revoker.finish(namespace, signal);
    await isClosed;
    assert.equal(store.peek(namespace)?.recheckAtMs, null);
  });

  it('gets another recheck, too, when a wrong password is found and repaired before the recheck is due', async () => {
    const site = await setUp();
    const { namespace, connectionString, store, config, broker } = site;
    await revoke(site);
    const dueMs = store.peek(namespace)?.recheckAtMs ?? assert.fail();
    const account = `${config.usernamePrefix}${namespace}-1`;
    const { password } = new URL(connectionString);
    await manage(broker, 'PUT', `/users/${account}`, { password: decodeURIComponent(password), tags: '' });
    const stopped = new Error('stopped by the test');
    const dying = site.addAgent({
      async around(step, call) {
        const result = await call();
        if (step === 'management.putUser') throw stopped;
        return result;
      },
    });
    await assert.rejects(dying.revoker.finish(namespace, signal), stopped);
    await assert.rejects(connect(connectionString), /403/);
    assert.ok((store.peek(namespace)?.recheckAtMs ?? 0) > dueMs);
  });

  it('that has logged in does not open once its namespace is deleted', async () => {
    const { agent, namespace, half, store } = await setUp();
    const record = store.peek(namespace) ?? assert.fail();
    store.put({ ...record, state: 'expiring', deletionReason: 'expired' });
    await agent.delete([namespace], signal);
    await assert.rejects(half.open());
  });

  it('is left alone when it was opened while the revoking agent was suspended', async () => {
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
    assert.ok((await revoked)?.changed);
    await (await later.createChannel()).close();
    assert.ok(!isCut);
  });
});
