import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../src/util/clock.ts';
import { isAgentError } from '../../../src/util/agent-errors.ts';
import { type MongoStore, openMongoStore } from '../../../src/store/mongodb/mongodb-store.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { mongoDatabase, useSharedMongoDB } from '../../support/mongodb.ts';
import { makeRelay, type TcpRelay } from '../../support/tcp-relay.ts';
import { agentsContract } from '../agents-contract.ts';
import { queueAlertsContract } from '../queue-alerts-contract.ts';
import { queueExemptionsContract } from '../queue-exemptions-contract.ts';
import { secretSightingsContract } from '../secret-sightings-contract.ts';
import { firstRecord } from '../namespaces-contract.ts';
import { assertUnavailable, type MakeStore, storeContract } from '../store-contract.ts';
import { storeModel } from '../store-model.ts';

async function openStore(url: string, timeoutMs?: number): Promise<MongoStore> {
  const options = { url, clock: systemClock, randomBytes, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  const store = await openMongoStore(options);
  addCleanup(() => store.close());
  return store;
}

describe('the store in MongoDB', function () {
  this.timeout(60_000);
  const mongodb = useSharedMongoDB();

  const makeStore: MakeStore = async () => {
    const url = mongoDatabase(mongodb());
    const store = await openStore(url);
    return {
      store,
      place: {
        another: async () => await openStore(url),
        async reopen() {
          await store.close();
          return await openStore(url);
        },
      },
    };
  };
  storeContract(makeStore, 25);
  queueAlertsContract(makeStore);
  agentsContract(makeStore);
  queueExemptionsContract(makeStore);
  secretSightingsContract(makeStore);
  storeModel(makeStore, 15);

  it('has one id when several agents open an empty database concurrently', async () => {
    for (let round = 0; round < 5; round++) {
      const url = mongoDatabase(mongodb());
      const stores = await Promise.all(Array.from({ length: 4 }, async () => await openStore(url)));
      assert.equal(new Set(stores.map((store) => store.storeId)).size, 1);
    }
  });

  it('stores instants as dates, which a person can read', async () => {
    const store = await openStore(mongoDatabase(mongodb()));
    const record = firstRecord();
    await store.namespaces.insert(record);
    const document = await store.db.collection('namespaces').findOne({});
    assert.deepStrictEqual(document?.['expires'], new Date(record.expiresMs));
    assert.equal(document?.['revokedUntil'], null);
  });

  it('uses primary and majority whatever the URL says', async () => {
    const weak = 'w=0&j=false&readConcernLevel=local&readPreference=secondaryPreferred&wTimeoutMS=0&timeoutMS=0';
    const url = new URL(mongoDatabase(mongodb()));
    const { db } = await openStore(`${url.href}${url.search === '' ? '?' : '&'}${weak}`);
    assert.equal(db.readPreference.mode, 'primary');
    assert.equal(db.readConcern?.level, 'majority');
    assert.equal(db.writeConcern?.w, 'majority');
    assert.equal(db.writeConcern?.journal, true);
    assert.equal(db.writeConcern?.wtimeoutMS, 5000);
  });

  describe('when the server', () => {
    let relay: TcpRelay;
    let store: MongoStore;
    beforeEach(async () => {
      const url = new URL(mongoDatabase(mongodb()));
      relay = await makeRelay(Number(url.port || 27017), url.hostname);
      url.host = `127.0.0.1:${relay.port}`;
      url.searchParams.set('directConnection', 'true');
      store = await openStore(url.href, 2000);
    });

    it('is gone, all calls fail with StoreUnavailable in time, and succeed when it is back', async () => {
      relay.cut();
      await assertInTime(3500, () => assertUnavailable(store));
      relay.restore();
      await untilAnswers(store);
    });

    it('hangs, all calls fail with StoreUnavailable in time, and succeed when it is back', async () => {
      relay.stall();
      await assertInTime(3500, () => assertUnavailable(store));
      relay.restore();
      await untilAnswers(store);
    });
  });

  it('fails to open with StoreUnavailable within 5 s when no server answers', async () => {
    const relay = await makeRelay(1);
    relay.cut();
    const url = `mongodb://somebody:hunter2-%C3%BC@127.0.0.1:${relay.port}/x`;
    await assertInTime(6000, async () => {
      await assert.rejects(openStore(url), { code: 'StoreUnavailable' });
    });
  });
});

/** The driver's pool of connections needs a moment after each failure. */
async function untilAnswers(store: MongoStore): Promise<void> {
  for (const deadlineMs = performance.now() + 20_000; ; ) {
    try {
      return await store.check();
    } catch (error) {
      if (!isAgentError(error, 'StoreUnavailable') || performance.now() > deadlineMs) throw error;
      await delay(20);
    }
  }
}

async function assertInTime(limitMs: number, action: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  await action();
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs < limitMs, `took ${Math.round(tookMs)} ms`);
}
