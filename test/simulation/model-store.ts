import { HELD_STATES, type NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { DueOptions, NamespaceStore, Store } from '../../src/store/store.ts';
import type { SecretSighting } from '../../src/store/secret-records.ts';
import type { Machine } from './machine.ts';
import type { Random } from './random.ts';
import { callRemotely, chooseJourney } from './remote-call.ts';
import type { Timeline } from './timeline.ts';
import type { NonceEntry, NonceStore, NonceWrite } from '../../src/store/nonce-records.ts';

/** The store that all agents of a history share: records under compare-and-set, and used signatures. */
export interface ModelStore {
  readonly records: ReadonlyMap<string, NamespaceRecord>;
  /** The store as one process sees it, as far as namespaces need it. */
  viewFrom(machine: Machine): Store;
}

export interface ModelStoreParts {
  readonly timeline: Timeline;
  readonly random: Random;
  /** How often a call is slow or lost. */
  readonly faultRate: () => number;
  /** Called after every write that took effect. */
  readonly onWrite: (before: NamespaceRecord | undefined, after: NamespaceRecord | undefined, by: string) => void;
}

/** As for MongoDB: a write may take effect after its caller's time-out. */
const TIMEOUT_MS = 5_000;

/** Creates an empty store. */
export function createModelStore({ timeline, random, faultRate, onWrite }: ModelStoreParts): ModelStore {
  const records = new Map<string, NamespaceRecord>();
  const nonces = new Map<string, NonceEntry>();
  const sightings = new Map<string, SecretSighting>();
  /** As LMDB, or as MongoDB. */
  const areWrittenWithRecord = random.chance(0.5);

  const sorted = (): NamespaceRecord[] =>
    [...records.values()].toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1));
  const due = ({ states, beforeMs, limit }: DueOptions, instant: 'nextRotationMs' | 'expiresMs'): NamespaceRecord[] =>
    [...records.values()]
      .filter((record) => states.includes(record.state) && record[instant] <= beforeMs)
      .toSorted((a, b) => a[instant] - b[instant])
      .slice(0, limit);
  const write = (before: NamespaceRecord | undefined, after: NamespaceRecord | undefined, by: string): true => {
    if (after === undefined) records.delete((before as NamespaceRecord).namespace);
    else records.set(after.namespace, after);
    onWrite(before, after, by);
    return true;
  };

  const seenBy = (machine: Machine): Store => {
    const call = <T>(effect: () => T, isWrite = false): Promise<T> =>
      callRemotely({
        timeline,
        machine,
        journey: chooseJourney({ random, faultRate: faultRate(), machine, isWrite, timeoutMs: TIMEOUT_MS }),
        timeoutMs: TIMEOUT_MS,
        fault: 'StoreUnavailable',
        effect,
      });
    const keep = (entry: NonceEntry): boolean => {
      if (nonces.has(entry.key)) return false;
      nonces.set(entry.key, entry);
      return true;
    };
    const writeWith = async (nonce: NonceWrite | undefined, effect: () => boolean): Promise<boolean> => {
      if (nonce === undefined) return await call(effect);
      const { entry, isOrderFree } = nonce;
      if (areWrittenWithRecord) return await call(() => !nonces.has(entry.key) && effect() && keep(entry));
      if (!isOrderFree) return (await call(() => keep(entry))) && (await call(effect));
      const [isKept, isWritten] = await Promise.all([call(() => keep(entry)), call(effect)]);
      return isKept && isWritten;
    };
    const namespaces: NamespaceStore = {
      get: (namespace) => call(() => records.get(namespace)),
      insert: (record, nonce) =>
        writeWith(nonce, () => !records.has(record.namespace) && write(undefined, record, machine.name)),
      replace: (record, expectedRevision, nonce) =>
        writeWith(nonce, () => {
          const before = records.get(record.namespace);
          return before?.revision === expectedRevision && write(before, record, machine.name);
        }),
      remove: (namespace, expectedRevision) =>
        call(() => {
          const before = records.get(namespace);
          return before?.revision === expectedRevision && write(before, undefined, machine.name);
        }),
      list: ({ after, limit, states }) =>
        call(() =>
          sorted()
            .filter((record) => after === undefined || record.namespace > after)
            .filter((record) => states === undefined || states.includes(record.state))
            .slice(0, limit),
        ),
      dueForRotation: (options) => call(() => due(options, 'nextRotationMs')),
      dueForExpiry: (options) => call(() => due(options, 'expiresMs')),
      countHeldBy: (clientId) =>
        call(
          () => sorted().filter(({ claimedBy, state }) => claimedBy === clientId && HELD_STATES.includes(state)).length,
        ),
      countByState: () => Promise.reject(new Error('The simulation does not count.')),
    };
    const nothing = { prune: async () => 0 };
    const seen = {
      storeId: 'simulated',
      namespaces,
      nonces: noncesOf(nonces, areWrittenWithRecord, call),
      secretSightings: sightingsOf(sightings, call),
      // No operator exempts a queue.
      queueExemptions: { list: () => call(() => []) },
      notices: nothing,
      audit: nothing,
      agents: { list: async () => [] },
    };
    return seen as unknown as Store;
  };

  return { records, viewFrom: seenBy };
}

function sightingsOf(
  sightings: Map<string, SecretSighting>,
  call: <T>(effect: () => T, isWrite?: boolean) => Promise<T>,
): Store['secretSightings'] {
  const revisionOf = (secretId: string): number => sightings.get(secretId)?.revision ?? 0;
  const write = (sighting: SecretSighting, expectedRevision: number): Promise<boolean> =>
    call(() => {
      if (revisionOf(sighting.secretId) !== expectedRevision) return false;
      sightings.set(sighting.secretId, sighting);
      return true;
    }, true);
  return {
    get: (secretId) => call(() => sightings.get(secretId)),
    insert: (sighting) => write(sighting, 0),
    replace: write,
    remove: (secretId, revision) => call(() => revisionOf(secretId) === revision && sightings.delete(secretId), true),
  };
}

function noncesOf(
  nonces: Map<string, NonceEntry>,
  areWrittenWithRecord: boolean,
  call: <T>(effect: () => T) => Promise<T>,
): NonceStore {
  return {
    areWrittenWithRecord,
    get: (key) => call(() => nonces.get(key)),
    remember: (entry) =>
      call(() => {
        const stored = nonces.get(entry.key) ?? entry;
        nonces.set(entry.key, stored);
        return stored;
      }),
    recordOutcome: (key, outcome) =>
      call(() => {
        const entry = nonces.get(key);
        if (entry?.outcome === null) nonces.set(key, { ...entry, outcome });
        return nonces.get(key)?.outcome ?? undefined;
      }),
    prune: async () => 0,
  };
}
