import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'amqplib';
import { systemClock } from '../../src/util/clock.ts';
import { teamNamespace } from '../support/agent.ts';
import { BROKER_START_MS, manage, openConnection, sharedBroker } from '../support/broker.ts';
import { objectsOf, declareObjects } from '../support/namespace-lifecycle.ts';
import { makeNamespaceRoom } from '../support/namespace-room.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);
const HOUR = 3_600_000;

/** An agent with a clock that can be set, and a namespace whose accounts were both handed out. */
async function setUp() {
  const room = await makeNamespaceRoom({ rotationIntervalSeconds: 600, connectionMaxAgeSeconds: 3000 });
  let aheadMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
  const agent = room.addAgent({ clock });
  const namespace = teamNamespace();
  const first = await agent.claim(namespace, Date.now() + HOUR / 2);
  const record = room.store.peek(namespace) ?? assert.fail();
  room.store.put({ ...record, nextRotationMs: 0 });
  await agent.rotation.sweep(never);
  const second = await agent.claim(namespace);
  assert.notEqual(second.connectionString, first.connectionString);
  return { ...room, agent, namespace, given: [first, second], step: (ms: number) => void (aheadMs += ms) };
}

describe('a step of the system clock', function () {
  this.timeout(60_000);

  before('start the shared RabbitMQ', async function () {
    this.timeout(BROKER_START_MS);
    await sharedBroker();
  });

  it('forward by an hour invalidates no credentials and deletes no queue early', async () => {
    const site = await setUp();
    const { agent, namespace, given, store } = site;
    await declareObjects(await openConnection(given[1]?.connectionString ?? ''), namespace);
    // The broker lists the age of a connection a few seconds late.
    const isListed = async () =>
      (await agent.management.listConnections(site.config.vhost)).some(
        ({ user, connectedAtMs }) => user.includes(namespace) && connectedAtMs !== undefined,
      );
    while (!(await isListed())) await sleep(200);
    site.step(HOUR);
    const before = await objectsOf(site, namespace);
    for (let times = 0; times < 3; times += 1) {
      await agent.rotation.sweep(never);
      await agent.expiry.announce(never);
      await agent.expiry.sweep(never);
      await agent.reconcile(never);
    }
    assert.equal(store.peek(namespace)?.state, 'active');
    assert.deepEqual(
      agent.events.filter(({ type }) => type === 'connection.closed'),
      [],
    );
    assert.deepEqual(await objectsOf(site, namespace), before);
    for (const { connectionString } of given) await (await connect(connectionString)).close();
    assert.equal(agent.log.filter((line) => line.includes('clock_stepped')).length, 1);
    // Clients can claim in the meantime, and no `reclaimAt` is in the past.
    const third = await agent.claim(namespace);
    assert.ok(third.reclaimAtMs > Date.now() + HOUR);
    site.step(-HOUR);
    await agent.rotation.sweep(never);
    for (const { connectionString } of [...given, third]) await (await connect(connectionString)).close();
  });

  it('back by an hour restores no password that another agent may have replaced, and rotates later', async () => {
    const { agent, namespace, given, store, broker, config, step } = await setUp();
    const record = store.peek(namespace) ?? assert.fail();
    const [slot1, slot2] = record.slots;
    store.put({ ...record, slots: [{ ...slot1, promisedUntilMs: Date.now() - 1000 }, slot2] });
    const path = `/users/${config.usernamePrefix}${namespace}-1`;
    await manage(broker, 'PUT', path, { password: 'by another', tags: '' });
    const hashOf = async () => ((await manage(broker, 'GET', path)).body as { password_hash: string }).password_hash;
    const before = await hashOf();
    step(-HOUR);
    await agent.repair(namespace, never);
    await agent.reconcile(never);
    await agent.rotation.sweep(never);
    assert.equal(await hashOf(), before);
    await (await connect(given[1]?.connectionString ?? '')).close();
    const again = await agent.claim(namespace);
    assert.equal(again.connectionString, given[1]?.connectionString);
    assert.ok(again.reclaimAtMs > Date.now());
  });

  it('back by an hour frees no name while late deletes of the former incarnation may arrive', async () => {
    const site = await setUp();
    const { agent, namespace, store, step } = site;
    const other = site.addAgent();
    const record = store.peek(namespace) ?? assert.fail();
    store.put({ ...record, state: 'expiring', deletionReason: 'expired', recheckAtMs: null });
    step(-HOUR);
    await agent.delete([namespace], never);
    assert.equal(store.peek(namespace)?.state, 'deleted');
    await assert.rejects(other.claim(namespace), /was deleted a moment ago/);
  });

  it('forward by an hour delays no deletion that another agent takes over', async () => {
    const { agent, namespace, store, step } = await setUp();
    step(HOUR);
    const nonce = { key: 'key', outcome: null, firstSeenMs: Date.now() + HOUR };
    assert.ok((await agent.release({ namespace, nonce }, never)).changed);
    assert.ok((store.peek(namespace)?.expiresMs ?? Infinity) < Date.now() + 1000);
  });

  it('does not advance the recheck of a revoked namespace before late writes have arrived, forward or back', async () => {
    const site = await setUp();
    const { agent, namespace, store, step } = site;
    const other = site.addAgent();
    const nonce = { key: 'key', outcome: null, firstSeenMs: Date.now() };
    await other.revoker.revoke({ namespace, untilMs: undefined, nonce }, never);
    const dueMs = store.peek(namespace)?.recheckAtMs ?? 0;
    assert.ok(dueMs > Date.now());
    step(HOUR);
    await agent.revoker.finish(namespace, never);
    await agent.repair(namespace, never);
    await agent.reconcile(never);
    assert.equal(store.peek(namespace)?.recheckAtMs, dueMs);
    step(-2 * HOUR);
    const again = { ...nonce, key: 'another', firstSeenMs: Date.now() };
    await agent.revoker.revoke({ namespace, untilMs: undefined, nonce: again }, never);
    assert.ok((store.peek(namespace)?.recheckAtMs ?? 0) >= dueMs);
  });
});
