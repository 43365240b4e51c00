import { randomBytes } from 'node:crypto';
import { systemClock } from '../../../src/util/clock.ts';
import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import { firstRecord } from '../namespaces-contract.ts';

// A process of its own that holds a store: writes records without end and prints the name of each once it is answered.
const [folder = ''] = process.argv.slice(2);
try {
  const store = await openLmdbStore({ folder, clock: systemClock, randomBytes });
  process.stdout.write(`holds ${store.storeId}\n`);
  process.on('SIGTERM', () => void store.close().then(() => process.exit(0)));
  for (let count = 0; ; count++) {
    await store.namespaces.insert(firstRecord({ namespace: `taskcluster-${count}` }));
    process.stdout.write(`${count}\n`);
  }
} catch (error) {
  process.stdout.write(`refused ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}\n`);
}
