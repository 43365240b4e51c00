import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Collection, Db } from 'mongodb';
import { createUseNonce, type NonceUse } from '../../../src/requests/nonce-use.ts';
import { MongoStore, openMongoStore } from '../../../src/store/mongodb/mongodb-store.ts';
import { StoreGate } from '../../../src/store/store-gate.ts';
import { AgentError } from '../../../src/util/agent-errors.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { claimInput, never, openClaimRoom } from '../../support/claim-room.ts';
import { addCleanup } from '../../support/cleanup.ts';
import type { MemoryStore } from '../../support/memory-store.ts';
import { mongoDatabase, useSharedMongoDB } from '../../support/mongodb.ts';
import { nonceOf } from '../nonces-contract.ts';

/** What happens to the writes of a claim, in order: `nonces begins`, `nonces is written`. */
type Trace = string[];

/** The database, with its writes in `trace`. */
function traced(db: Db, trace: Trace): Db {
  const collectionOf = (name: string): Collection =>
    new Proxy(db.collection(name), {
      get(collection, method) {
        const member: unknown = Reflect.get(collection, method, collection);
        if (typeof member !== 'function') return member;
        if (method !== 'insertOne' && method !== 'replaceOne') return member.bind(collection) as unknown;
        return async (...args: unknown[]): Promise<unknown> => {
          trace.push(`${name} begins`);
          const result: unknown = await Reflect.apply(member, collection, args);
          trace.push(`${name} is written`);
          return result;
        };
      },
    });
  return new Proxy(db, {
    get(target, property) {
      if (property === 'collection') return collectionOf;
      const member: unknown = Reflect.get(target, property, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

describe('claims on MongoDB', function () {
  this.timeout(60_000);
  const mongodb = useSharedMongoDB();

  /** A store and the claims of an agent on it, and what they write. */
  async function openRoom() {
    const opened = await openMongoStore({ url: mongoDatabase(mongodb()), clock: systemClock, randomBytes });
    addCleanup(() => opened.close());
    const trace: Trace = [];
    const gate = new StoreGate((cause) => new AgentError('StoreUnavailable', 'It failed.', { cause }));
    const store = new MongoStore(traced(opened.db, trace), opened.storeId, gate, async () => undefined);
    // What only a store in memory has is not used here.
    const room = openClaimRoom(store as unknown as MemoryStore);
    const nonceUse = (entry = nonceOf()): Promise<NonceUse> => createUseNonce(store.nonces)(entry);
    const traceOf = async (given: Parameters<typeof claimInput>[0], nonce: NonceUse): Promise<Trace> => {
      trace.length = 0;
      await room.claimNamespace(claimInput({ ...given, nonce }), never);
      assert.deepStrictEqual(await store.nonces.get(nonce.entry.key), nonce.entry);
      return [...trace];
    };
    return { store, room, trace, nonceUse, traceOf };
  }

  it('of a new namespace store the nonce during the check, and then wait for two writes', async () => {
    const { room, trace, nonceUse, traceOf } = await openRoom();
    let isChecked = false;
    room.parts.checkFirstClaim = async () => {
      // The nonce is stored meanwhile: that needs no end of the check.
      while (!trace.includes('nonces is written')) await new Promise(setImmediate);
      isChecked = true;
    };
    const written = await traceOf({}, await nonceUse());
    assert.ok(isChecked);
    const record = ['namespaces begins', 'namespaces is written'];
    assert.deepEqual(written, ['nonces begins', 'nonces is written', ...record, ...record]);
  });

  it('that renew write the nonce and the record at the same time', async () => {
    const { nonceUse, traceOf } = await openRoom();
    await traceOf({}, await nonceUse());
    const nonce = await nonceUse();
    const written = await traceOf({}, nonce);
    assert.deepEqual(written.slice(0, 2), ['nonces begins', 'namespaces begins']);
    assert.deepEqual(written.slice(2).toSorted(), ['namespaces is written', 'nonces is written']);
    // Delivered again: the nonce is known.
    const again = await traceOf({}, await nonceUse(nonce.entry));
    assert.deepEqual(again, ['namespaces begins', 'namespaces is written']);
  });

  it('that change the holder or the contact store the nonce first', async () => {
    const { nonceUse, traceOf } = await openRoom();
    await traceOf({}, await nonceUse());
    for (const given of [{ claimedBy: 'project/y' }, { claimedBy: 'project/y', contact: 'y@example.com' }]) {
      const written = await traceOf(given, await nonceUse());
      assert.deepEqual(written, ['nonces begins', 'nonces is written', 'namespaces begins', 'namespaces is written']);
    }
  });

  it('give no credentials for a nonce that another request used meanwhile', async () => {
    const { store, room, nonceUse, traceOf } = await openRoom();
    await traceOf({ contact: 'first@example.com' }, await nonceUse());
    const before = await store.namespaces.get('taskcluster-x');
    const refuse = async (given: Parameters<typeof claimInput>[0]): Promise<void> => {
      const nonce = await nonceUse();
      await store.nonces.remember({ ...nonce.entry, replyAddress: 'elsewhere' });
      await assert.rejects(room.claimNamespace(claimInput({ ...given, nonce }), never), { code: 'ReplayDetected' });
    };
    const changes = [{ contact: 'other@example.com' }, { claimedBy: 'project/y' }, { namespace: 'taskcluster-y' }];
    for (const given of changes) {
      await refuse(given);
      assert.deepStrictEqual(await store.namespaces.get('taskcluster-x'), before);
    }
    // A renewal by the same client may make its times later.
    await refuse({});
    assert.equal(await store.namespaces.get('taskcluster-y'), undefined);
    const after = await store.namespaces.get('taskcluster-x');
    assert.deepStrictEqual([after?.contact, after?.claimedBy], [before?.contact, before?.claimedBy]);
  });
});
