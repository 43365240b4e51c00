import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { inspectLmdb } from '../../../src/store/lmdb/inspect-lmdb.ts';
import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import { openLmdbTransfer } from '../../../src/store/lmdb/transfer-lmdb.ts';
import { inspectMongoDB } from '../../../src/store/mongodb/inspect-mongodb.ts';
import { openMongoStore } from '../../../src/store/mongodb/mongodb-store.ts';
import { openMongoTransfer } from '../../../src/store/mongodb/transfer-mongodb.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { makeFolder } from '../../support/folders.ts';
import { mongoDatabase, useSharedMongoDB } from '../../support/mongodb.ts';
import { transferContract, type TransferPlace } from '../transfer-contract.ts';

describe('a copy of the store in MongoDB', function () {
  this.timeout(60_000);
  const mongodb = useSharedMongoDB();
  const inMongoDB = (): TransferPlace => {
    const url = mongoDatabase(mongodb());
    return {
      open: () => openMongoStore({ url, clock: systemClock, randomBytes, timeoutMs: 30_000 }),
      read: () => inspectMongoDB(url, 30_000),
      transfer: (mayCreate = true) => openMongoTransfer(url, { mayCreate }),
    };
  };
  const inLmdb = (): TransferPlace => {
    const folder = makeFolder('lmdb');
    return {
      open: () => openLmdbStore({ folder, clock: systemClock, randomBytes }),
      read: () => inspectLmdb(folder),
      transfer: (mayCreate = true) => openLmdbTransfer(folder, { mayCreate, randomBytes }),
    };
  };

  describe('into MongoDB', () => transferContract(inMongoDB, inMongoDB));
  describe('into LMDB', () => transferContract(inMongoDB, inLmdb));
  describe('of LMDB', () => transferContract(inLmdb, inMongoDB));

  it('ends as one import, when two into one database overlap', async () => {
    const place = inMongoDB();
    const [first, second] = [await place.transfer(), await place.transfer()];
    const identity = { storeId: 'c3RvcmU', createdMs: 1 };
    await first.beginImport({ ...identity, unfinishedImport: 'first' });
    await second.beginImport({ ...identity, unfinishedImport: 'second' });
    assert.equal(await first.finishImport(identity), false);
    await assert.rejects(place.open(), /did not end/);
    assert.equal(await second.finishImport(identity), true);
    await first.close();
    await second.close();
    await (await place.open()).close();
  });
});
