import type { Db } from 'mongodb';
import type { Store } from '../store/store.ts';
import type { JobBackend } from './job-backend.ts';
import { createMemoryBackend } from './memory-job-backend.ts';

/** Opens the backend in the agent's own database, or in memory where the store is embedded, which has one agent. */
export async function openJobBackend(store: Pick<Store, 'kind'> & { readonly db?: Db }): Promise<JobBackend> {
  if (store.db === undefined) return createMemoryBackend();
  // Loaded here: with an embedded store the MongoDB driver is not needed.
  const { createMongoBackend } = await import('./mongodb-job-backend.ts');
  return createMongoBackend(store.db);
}
