import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import { teamNamespace } from '../../support/agent.ts';
import { BROKER_START_MS, sharedBroker } from '../../support/broker.ts';
import { objectsOf } from '../../support/namespace-lifecycle.ts';
import { makeNamespaceRoom } from '../../support/namespace-room.ts';
import type { NonceEntry } from '../../../src/store/nonce-records.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);

/** An agent that serves a request, and another one that gets it redelivered because the first died. */
async function setUp() {
  const room = await makeNamespaceRoom({ rotationIntervalSeconds: 8 });
  const [first, second] = [room.addAgent(), room.addAgent()];
  const namespace = teamNamespace();
  await first.claim(namespace);
  const entry: NonceEntry = {
    key: randomUUID(),
    replyAddress: 'address',
    correlationId: 'id',
    digest: 'digest',
    firstSeenMs: Date.now(),
    acceptableUntilMs: Date.now() + 600_000,
    outcome: null,
  };
  /** The stored use of the signature, as each delivery finds it. */
  const nonce = () => room.store.nonces.remember(entry);
  /** Deletes the present incarnation, and begins another one as soon as possible. */
  const liveAnew = async (): Promise<string> => {
    await first.delete([namespace], never);
    const tombstone = room.store.peek(namespace) ?? assert.fail();
    assert.equal(tombstone.state, 'deleted');
    room.store.put({ ...tombstone, deletedAtMs: Date.now() - 60_000 });
    return (await second.claim(namespace)).connectionString;
  };
  return { ...room, first, second, namespace, nonce, liveAnew };
}

describe('a redelivered request', function () {
  this.timeout(BROKER_START_MS);

  before('start the shared RabbitMQ', async () => void (await sharedBroker()));

  it('releases no later incarnation', async () => {
    const { first, second, namespace, nonce, liveAnew, store } = await setUp();
    assert.ok((await first.release({ namespace, nonce: await nonce() }, never)).changed);
    const connectionString = await liveAnew();
    const before = store.peek(namespace);
    const again = await second.release({ namespace, nonce: await nonce() }, never);
    assert.deepEqual(again, { changed: false, record: undefined });
    assert.deepEqual(store.peek(namespace), before);
    await (await connect(connectionString)).close();
  });

  it('revokes neither what was claimed after it nor a later incarnation', async () => {
    const room = await setUp();
    const { first, second, namespace, nonce, liveAnew, store } = room;
    const revoke = async (agent: typeof first) =>
      await agent.revoker.revoke({ namespace, untilMs: undefined, nonce: await nonce() }, never);
    assert.ok((await revoke(first)).changed);
    const held = await connect((await second.claim(namespace)).connectionString);
    let isCut = false;
    held.on('error', () => undefined).on('close', () => (isCut = true));
    const before = store.peek(namespace);
    assert.deepEqual(await revoke(second), { changed: false, refusedUntilMs: undefined });
    assert.equal(store.peek(namespace)?.generation, before?.generation);
    assert.equal(store.peek(namespace)?.incarnation, before?.incarnation);
    await (await held.createChannel()).close();
    assert.ok(!isCut);
    await held.close();

    const record = store.peek(namespace) ?? assert.fail();
    store.put({ ...record, revision: record.revision + 1, state: 'expiring', deletionReason: 'expired' });
    const connectionString = await liveAnew();
    const later = store.peek(namespace);
    assert.deepEqual(await revoke(second), { changed: false, refusedUntilMs: undefined });
    assert.deepEqual(store.peek(namespace), later);
    await (await connect(connectionString)).close();
    assert.deepEqual(await objectsOf(room, namespace), [`${room.config.usernamePrefix}${namespace}-1`]);
  });

  it('refuses claims until its own instant when another revocation of the same credentials was faster', async () => {
    const { first, second, namespace, store } = await setUp();
    const { incarnation, generation } = store.peek(namespace) ?? assert.fail();
    const untilMs = Date.now() + 600_000;
    const revoke = (agent: typeof first, until: number | undefined) => {
      const outcome = JSON.stringify({ incarnation, generation: generation + 2 });
      const nonce = { key: randomUUID(), outcome, firstSeenMs: Date.now() };
      return agent.revoker.revoke({ namespace, untilMs: until, nonce }, never);
    };
    assert.deepEqual(await revoke(first, undefined), { changed: true, refusedUntilMs: undefined });
    assert.deepEqual(await revoke(second, untilMs), { changed: true, refusedUntilMs: untilMs });
    assert.deepEqual(await revoke(first, untilMs - 1000), { changed: false, refusedUntilMs: untilMs });
    const record = store.peek(namespace);
    assert.deepEqual([record?.generation, record?.revokedUntilMs], [generation + 2, untilMs]);
    await assert.rejects(second.claim(namespace), /is revoked until/);
  });

  it('revokes nothing that was handed out after another revocation, although its agent died before it read the record', async () => {
    const { first, second, namespace, store, nonce } = await setUp();
    const record = store.peek(namespace) ?? assert.fail();
    store.put({ ...record, createdMs: Date.now() - 600_000 });
    const seen = { ...(await nonce()), firstSeenMs: Date.now() - 60_000 };
    const another = { key: randomUUID(), outcome: null, firstSeenMs: Date.now() };
    await first.revoker.revoke({ namespace, untilMs: undefined, nonce: another }, never);
    const { connectionString } = await first.claim(namespace);
    const before = store.peek(namespace);
    const late = await second.revoker.revoke({ namespace, untilMs: undefined, nonce: seen }, never);
    assert.deepEqual(late, { changed: false, refusedUntilMs: undefined });
    assert.equal(store.peek(namespace)?.generation, before?.generation);
    await (await connect(connectionString)).close();
  });

  it('does not change what a later revocation wrote to a deleted namespace', async () => {
    const { first, second, namespace, store, nonce } = await setUp();
    const day = 86_400_000;
    const revoke = async (
      agent: typeof first,
      untilMs: number,
      of: Pick<NonceEntry, 'key' | 'outcome' | 'firstSeenMs'>,
    ) => await agent.revoker.revoke({ namespace, untilMs, nonce: of }, never);
    const another = () => ({ key: randomUUID(), outcome: null, firstSeenMs: Date.now() });
    const record = store.peek(namespace) ?? assert.fail();
    store.put({ ...record, revision: record.revision + 1, state: 'expiring', deletionReason: 'expired' });
    const tomorrow = Date.now() + day;
    assert.ok((await revoke(first, tomorrow, await nonce())).changed);
    await first.delete([namespace], never);
    for (const untilMs of [tomorrow + day, tomorrow - day / 2]) {
      assert.deepEqual(await revoke(second, untilMs, another()), { changed: true, refusedUntilMs: untilMs });
      assert.deepEqual(await revoke(second, tomorrow, await nonce()), { changed: false, refusedUntilMs: untilMs });
    }
    assert.equal(store.peek(namespace)?.state, 'deleted');
  });

  it('returns that no claims are refused after another revocation and a rotation came first', async () => {
    const { first, second, namespace, store } = await setUp();
    const { incarnation, generation } = store.peek(namespace) ?? assert.fail();
    const outcome = JSON.stringify({ incarnation, generation: generation + 2 });
    const nonce = { key: randomUUID(), outcome, firstSeenMs: Date.now() };
    await first.revoker.revoke({ namespace, untilMs: undefined, nonce: { ...nonce, outcome: null } }, never);
    const revoked = store.peek(namespace) ?? assert.fail();
    store.put({ ...revoked, recheckAtMs: null, nextRotationMs: 0 });
    await first.rotation.sweep(never);
    assert.equal(store.peek(namespace)?.generation, generation + 3);

    const late = await second.revoker.revoke({ namespace, untilMs: Date.now() + 600_000, nonce }, never);
    assert.deepEqual(late, { changed: false, refusedUntilMs: undefined });
    await second.claim(namespace);
  });
});
