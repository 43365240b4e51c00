import type { Clock, RandomBytes } from '../util/clock.ts';
import { addMissingSecrets } from '../namespaces/accounts/needed-secrets.ts';
import type { Keyring } from '../namespaces/accounts/keyring.ts';
import type { MongoInspection, MongoSetup } from '../store/mongodb/inspect-mongodb.ts';
import type { IndexFault } from '../store/mongodb/mongodb-indexes.ts';
import { namespacePages } from '../store/paged-listing.ts';
import type { StoreReader } from '../store/open-store-to-read.ts';
import { failed, type StepResult, ok, skipped, type Step, warning } from './step.ts';

/** What the steps of the store are made of. */
export interface StoreStepsParts {
  readonly isProduction: boolean;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly keyring: Pick<Keyring, 'has'>;
  /** Opens the store once; later calls get the same. */
  readonly openStore: () => Promise<StoreReader | MongoInspection>;
}

/** The store answers, is durable and fast, and this configuration has the secrets of what is in it. */
export function storeSteps(parts: StoreStepsParts): Step[] {
  const { isProduction, clock, randomBytes, keyring, openStore } = parts;
  const inMongoDB = async (look: (store: MongoInspection) => Promise<StepResult>): Promise<StepResult> => {
    const store = await openStore();
    return 'setup' in store ? await look(store) : skipped('LMDB has none');
  };
  return [
    {
      name: 'store',
      about: 'the store',
      needs: [],
      async run() {
        const { kind, storeId } = await openStore();
        if (storeId === undefined) return failed(`${kind} answers, and no agent has used it`, 'Start an agent.');
        return ok(`${kind} answers; its id is ${storeId}`);
      },
    },
    {
      name: 'replica-set',
      about: "MongoDB's replica set",
      needs: ['store'],
      run: async () => await inMongoDB(async (store) => checkReplicaSet(await store.setup(), isProduction)),
    },
    {
      name: 'majority-write',
      about: 'a durable write to MongoDB',
      needs: ['store'],
      run: async () =>
        await inMongoDB(async (store) => {
          const id = randomBytes(12).toString('hex');
          return checkMajorityWrite(await store.tryMajorityWrite(id, () => clock.monotonicMs()));
        }),
    },
    {
      name: 'indexes',
      about: "MongoDB's indexes",
      needs: ['store'],
      run: async () => await inMongoDB(async (store) => checkIndexes(await store.indexFaults())),
    },
    {
      name: 'secrets',
      about: 'agent secrets of the namespaces',
      needs: ['store'],
      async run(signal) {
        const { namespaces } = await openStore();
        return checkSecrets(await countMissing(namespaces, keyring, signal));
      },
    },
  ];
}

export function checkReplicaSet({ replicaSet, isSharded }: MongoSetup, isProduction: boolean): StepResult {
  if (replicaSet !== undefined) return ok(`the replica set is ${replicaSet}`);
  if (isSharded) return ok('a sharded cluster');
  const remedy =
    'Run MongoDB as a replica set: without one a lost disk is a lost store, and no write can be tried again safely.';
  const said = 'a server of its own, without a replica set';
  return isProduction ? failed(said, remedy) : warning(said, remedy);
}

/** A claim waits for one such write; beyond this its client notices. */
const SLOW_WRITE_MS = 500;

export function checkMajorityWrite(tookMs: number): StepResult {
  const said = `a majority had it on disk after ${Math.round(tookMs)} ms`;
  if (tookMs <= SLOW_WRITE_MS) return ok(said);
  return warning(said, 'Look at the disks of MongoDB and at its network: every claim waits for one such write.');
}

export function checkIndexes(faults: readonly IndexFault[]): StepResult {
  if (faults.length === 0) return ok('every index is as it should be');
  const said = faults.map(({ collection, index, fault }) => `${index} of ${collection} is ${fault}`).join(', ');
  const stale = faults.find(({ fault }) => fault === 'stale');
  if (stale === undefined) return failed(said, 'Start an agent: it makes what is missing.');
  return failed(
    said,
    `Drop it with db.${stale.collection}.dropIndex("${stale.index}") and start an agent, which makes it as it should be.`,
  );
}

/** How many namespaces need each agent secret that is not there, by its id. */
async function countMissing(
  namespaces: StoreReader['namespaces'],
  keyring: Pick<Keyring, 'has'>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const missing = new Map<string, number>();
  for await (const page of namespacePages(namespaces, signal, { states: ['provisioning', 'active'] })) {
    addMissingSecrets(missing, page, keyring);
  }
  return missing;
}

export function checkSecrets(missing: ReadonlyMap<string, number>): StepResult {
  if (missing.size === 0) return ok('every secret that namespaces need is there');
  const said = [...missing].map(([secretId, count]) => `${count} namespaces need the secret with the id ${secretId}`);
  return failed(
    said.join(', '),
    'Add it to PULSE_AGENT_PREVIOUS_SECRETS until they are rotated; without it nobody can claim them.',
  );
}
