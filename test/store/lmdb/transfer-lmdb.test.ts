import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { inspectLmdb } from '../../../src/store/lmdb/inspect-lmdb.ts';
import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import { openLmdbTransfer } from '../../../src/store/lmdb/transfer-lmdb.ts';
import { isAgentError } from '../../../src/util/agent-errors.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { makeFolder } from '../../support/folders.ts';
import { transferContract, type TransferPlace } from '../transfer-contract.ts';

function makePlace(): TransferPlace {
  const folder = makeFolder('lmdb');
  return {
    open: () => openLmdbStore({ folder, clock: systemClock, randomBytes }),
    read: () => inspectLmdb(folder),
    transfer: (mayCreate = true) => openLmdbTransfer(folder, { mayCreate, randomBytes }),
  };
}

describe('a copy of the store in LMDB', () => {
  transferContract(makePlace, makePlace);

  it('is not made while an agent holds the folder, and holds it against agents', async () => {
    const place = makePlace();
    const agent = await place.open();
    await assert.rejects(place.transfer(), (error) => {
      return isAgentError(error, 'StoreInUse') && error.message.includes(`this process (${process.pid})`);
    });
    await agent.close();
    const transfer = await place.transfer();
    await assert.rejects(place.open(), (error) => isAgentError(error, 'StoreInUse'));
    await transfer.close();
    await (await place.open()).close();
  });
});
