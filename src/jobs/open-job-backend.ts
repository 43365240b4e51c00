import type { Db } from 'mongodb';
import type { Store } from '../store/store.ts';
import { type JobBackend, latestRunMs, MOST_AHEAD_MS } from './job-backend.ts';
import { createMemoryBackend } from './memory-job-backend.ts';

/** In the agent's own database where it has one, and else in memory: an embedded store has one agent. */
export async function openJobBackend(store: Pick<Store, 'kind'> & { readonly db?: Db }): Promise<JobBackend> {
  if (store.db === undefined) return memoryBackend();
  // With an embedded store MongoDB's driver is not even loaded.
  const { createMongoBackend } = await import('./mongodb-job-backend.ts');
  return createMongoBackend(store.db);
}

function memoryBackend(): JobBackend {
  const agenda = createMemoryBackend();
  return {
    agenda,
    async keepRecurring(name, everyMs, longestMs = everyMs) {
      agenda.keepRecurring(name, everyMs, { lockMs: MOST_AHEAD_MS, runMs: latestRunMs(everyMs, longestMs) });
    },
  };
}
