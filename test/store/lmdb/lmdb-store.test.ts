import { randomBytes } from 'node:crypto';
import { systemClock } from '../../../src/util/clock.ts';
import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import type { Store } from '../../../src/store/store.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeFolder } from '../../support/folders.ts';
import { agentsContract } from '../agents-contract.ts';
import { queueAlertsContract } from '../queue-alerts-contract.ts';
import { queueExemptionsContract } from '../queue-exemptions-contract.ts';
import { secretSightingsContract } from '../secret-sightings-contract.ts';
import { type MakeStore, storeContract } from '../store-contract.ts';
import { storeModel } from '../store-model.ts';

const makeStore: MakeStore = async () => {
  const folder = makeFolder('lmdb');
  const open = async (): Promise<Store> => {
    const store = await openLmdbStore({ folder, clock: systemClock, randomBytes });
    addCleanup(() => store.close());
    return store;
  };
  const store = await open();
  return {
    store,
    place: {
      another: async () => store,
      async reopen() {
        await store.close();
        return await open();
      },
    },
  };
};

describe('the store in LMDB', () => {
  storeContract(makeStore, 200);
  queueAlertsContract(makeStore);
  agentsContract(makeStore);
  queueExemptionsContract(makeStore);
  secretSightingsContract(makeStore);
  storeModel(makeStore, 60);
});
