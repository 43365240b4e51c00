import { formatInstant } from '../contract/fields.ts';
import type { Clock, RandomBytes } from '../util/clock.ts';
import { countNeededSecrets, readSightings } from '../namespaces/accounts/needed-secrets.ts';
import type { Keyring } from '../namespaces/accounts/keyring.ts';
import type { MongoInspection } from '../store/mongodb/inspect-mongodb.ts';
import { isStandalone, type MongoSetup, STANDALONE_REMEDY } from '../store/mongodb/mongodb-setup.ts';
import type { IndexFault } from '../store/mongodb/mongodb-indexes.ts';
import type { SecretSighting } from '../store/secret-records.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { failed, type StepResult, ok, skipped, type Step, warning } from './step.ts';

export interface StoreStepsOptions {
  readonly isProduction: boolean;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly keyring: Pick<Keyring, 'has'>;
  /** Opens the store on the first call; later calls return the same one. */
  readonly openStore: () => Promise<StoreReader | MongoInspection>;
}

/** Checks that the store answers, is durable and fast, and that the configuration has the secrets its records need. */
export function storeSteps(options: StoreStepsOptions): Step[] {
  const { isProduction, clock, randomBytes, keyring, openStore } = options;
  const ifMongoDB = async (check: (store: MongoInspection) => Promise<StepResult>): Promise<StepResult> => {
    const store = await openStore();
    return 'setup' in store ? await check(store) : skipped('not applicable to LMDB');
  };
  const tryWrite = async (store: MongoInspection): Promise<number> =>
    await store.tryMajorityWrite(randomBytes(12).toString('hex'), () => clock.monotonicMs());
  return [
    {
      name: 'store',
      about: 'store',
      needs: [],
      async run() {
        const store = await openStore();
        const { kind, storeId } = store;
        if (storeId !== undefined) return ok(`${kind} answers; its id is ${storeId}`);
        // An agent may have tried: if the server refuses its writes, that is the fault.
        if ('setup' in store) await tryWrite(store);
        return failed(`${kind} answers, but no agent has used it`, 'Start an agent.');
      },
    },
    {
      name: 'replica-set',
      about: 'MongoDB replica set',
      needs: ['store'],
      essential: false,
      run: async () => await ifMongoDB(async (store) => checkReplicaSet(await store.setup(), isProduction)),
    },
    {
      name: 'majority-write',
      about: 'MongoDB majority write',
      needs: ['store'],
      run: async () => await ifMongoDB(async (store) => checkMajorityWrite(await tryWrite(store))),
    },
    {
      name: 'indexes',
      about: 'MongoDB indexes',
      needs: ['store'],
      essential: false,
      run: async () => await ifMongoDB(async (store) => checkIndexes(await store.indexFaults())),
    },
    {
      name: 'secrets',
      about: 'agent secrets',
      needs: ['store'],
      essential: false,
      async run(signal) {
        const store = await openStore();
        const needed = await countNeededSecrets(store.namespaces, signal);
        const missing = new Map([...needed].filter(([secretId]) => !keyring.has(secretId)));
        return checkSecrets(missing, await readSightings(store.secretSightings, missing.keys()));
      },
    },
  ];
}

export function checkReplicaSet(setup: MongoSetup, isProduction: boolean): StepResult {
  if (!isStandalone(setup)) {
    return ok(setup.replicaSet === undefined ? 'a sharded cluster' : `the replica set is ${setup.replicaSet}`);
  }
  const said = 'a standalone server without a replica set';
  return isProduction ? failed(said, STANDALONE_REMEDY) : warning(said, STANDALONE_REMEDY);
}

/** A claim waits for one such write; a client notices a longer one, in ms. */
const SLOW_WRITE_MS = 500;

export function checkMajorityWrite(tookMs: number): StepResult {
  const said = `acknowledged by a majority after ${Math.round(tookMs)} ms`;
  if (tookMs <= SLOW_WRITE_MS) return ok(said);
  return warning(said, 'Check the disks and the network of MongoDB: every claim waits for one such write.');
}

export function checkIndexes(faults: readonly IndexFault[]): StepResult {
  if (faults.length === 0) return ok('all indexes are there and up to date');
  const said = faults.map(({ collection, index, fault }) => `${index} of ${collection} is ${fault}`).join(', ');
  const stale = faults.find(({ fault }) => fault === 'stale');
  if (stale === undefined) return failed(said, 'Start an agent: it creates missing indexes.');
  return failed(
    said,
    `Drop it with db.${stale.collection}.dropIndex("${stale.index}") and start an agent, which creates it.`,
  );
}

export function checkSecrets(
  missing: ReadonlyMap<string, number>,
  sightings: ReadonlyMap<string, Pick<SecretSighting, 'missingMs'>> = new Map(),
): StepResult {
  if (missing.size === 0) return ok('every secret that the namespaces need is configured');
  const said = [...missing].map(([secretId, count]) => {
    const sinceMs = sightings.get(secretId)?.missingMs ?? null;
    const since = sinceMs === null ? '' : `, which agents miss since ${formatInstant(sinceMs)}`;
    return `${count === 1 ? '1 namespace needs' : `${count} namespaces need`} the secret with the id ${secretId}${since}`;
  });
  return failed(
    said.join('; '),
    'Add it to PULSE_AGENT_PREVIOUS_SECRETS until these namespaces are rotated ("pulse-agent secret-id" prints the id of a secret that you have). If no copy of it is left, agents rotate active namespaces to another secret within two rotation intervals; revoke what still cannot be claimed then, with "pulse-agent revoke --direct".',
  );
}
