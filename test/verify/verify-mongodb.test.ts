import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { isAgentError } from '../../src/util/agent-errors.ts';
import { systemClock } from '../../src/util/clock.ts';
import { type MongoInspection, inspectMongoDB } from '../../src/store/mongodb/inspect-mongodb.ts';
import { openMongoStore } from '../../src/store/mongodb/mongodb-store.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { recordOf } from '../support/records.ts';

describe('inspectMongoDB', function () {
  this.timeout(60_000);
  const mongodb = useSharedMongoDB();

  async function makeStore(): Promise<string> {
    const url = mongoDatabase(mongodb());
    const store = await openMongoStore({ url, clock: systemClock, randomBytes });
    await store.namespaces.insert(recordOf(1, { revision: 1, namespace: 'taskcluster-a' }));
    await store.close();
    return url;
  }

  async function inspect(url: string): Promise<MongoInspection> {
    const inspection = await inspectMongoDB(url, 5000);
    addCleanup(() => inspection.close());
    return inspection;
  }

  async function connect(url: string): Promise<MongoClient> {
    const client = new MongoClient(url);
    addCleanup(() => client.close());
    return client;
  }

  it('reads the records, the store id and the indexes', async () => {
    const inspection = await inspect(await makeStore());
    assert.match(inspection.storeId ?? '', /^[\w-]{22}$/);
    assert.equal((await inspection.namespaces.list({ limit: 5 }))[0]?.namespace, 'taskcluster-a');
    assert.deepEqual(await inspection.indexFaults(), []);
    const { timeMs } = await inspection.setup();
    if (timeMs !== undefined) assert.ok(Math.abs(timeMs - Date.now()) < 60_000);
  });

  it('finds an index that is missing and one that has other fields', async () => {
    const url = await makeStore();
    const namespaces = (await connect(url)).db().collection('namespaces');
    await namespaces.dropIndex('by-expires');
    await namespaces.dropIndex('by-next-rotation');
    await namespaces.createIndex({ nextRotation: 1 }, { name: 'by-next-rotation' });
    assert.deepEqual(await (await inspect(url)).indexFaults(), [
      { collection: 'namespaces', index: 'by-next-rotation', fault: 'stale' },
      { collection: 'namespaces', index: 'by-expires', fault: 'missing' },
    ]);
  });

  it('creates nothing in a database that no agent has used', async () => {
    const url = mongoDatabase(mongodb());
    const inspection = await inspect(url);
    assert.equal(inspection.storeId, undefined);
    assert.deepEqual(await inspection.namespaces.list({ limit: 5 }), []);
    assert.equal((await inspection.indexFaults())[0]?.fault, 'missing');
    assert.ok((await inspection.tryMajorityWrite('x', () => performance.now())) >= 0);
    assert.deepEqual(await (await connect(url)).db().listCollections().toArray(), []);
  });

  describe('names servers and reason', () => {
    const messageOf = async (url: string): Promise<string> => {
      const error: unknown = await inspectMongoDB(url, 1000).catch((cause: unknown) => cause);
      assert.ok(isAgentError(error, 'StoreUnavailable'), String(error));
      assert.ok(!error.message.includes('hunter2'), error.message);
      assert.doesNotMatch(error.message, /\(Error\)/);
      return error.message;
    };

    it('where nothing listens', async () => {
      const message = await messageOf('mongodb://user:hunter2@127.0.0.1:1,127.0.0.1:2/x');
      assert.match(message, /^MongoDB at 127\.0\.0\.1:1, 127\.0\.0\.1:2 does not answer .*ECONNREFUSED 127\.0\.0\.1:/);
      assert.match(message, /Check that it runs, that it has a primary, and that STORE_URL is right\.$/);
    });

    it('where the host does not exist', async () => {
      assert.match(
        await messageOf('mongodb://user:hunter2@mongo.invalid/x'),
        /^MongoDB at mongo\.invalid .*ENOTFOUND|EAI_AGAIN/,
      );
    });

    it('where a server accepts connections and does not answer', async () => {
      const relay = await makeRelay(Number(new URL(mongoDatabase(mongodb())).port));
      relay.stall();
      const message = await messageOf(`mongodb://user:hunter2@127.0.0.1:${relay.port}/x?directConnection=true`);
      assert.match(message, new RegExp(`^MongoDB at 127\\.0\\.0\\.1:${relay.port} .*(timed out|no answer within)`));
    });
  });
});
