import type { Clock } from '../util/clock.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { namespacePages } from '../store/paged-listing.ts';
import type { StoreReader } from '../store/store-reader.ts';
import type { DueOptions, NamespaceStore, Store } from '../store/store.ts';
import { type OnChange, OverlayEntries } from './overlay-entries.ts';
import type { NonceStore } from '../store/nonce-records.ts';

/** How long it answers as if a record had been written, in ms. */
const LASTS_MS = 60_000;

/** The part of a store that namespaces need. */
export type NamespaceStoreOverlay = Pick<
  Store,
  'storeId' | 'namespaces' | 'nonces' | 'secretSightings' | 'queueExemptions'
>;

/**
 * An overlay of the store. Writes are reported to `onChange` instead of made, and for a while reads answer as if they had
 * been made, unless an agent writes a later revision.
 */
export function createStoreOverlay(real: StoreReader, clock: Clock, onChange: OnChange): NamespaceStoreOverlay {
  const written = new OverlayEntries<NamespaceRecord>(() => clock.monotonicMs(), LASTS_MS);
  const overlay = (record: NamespaceRecord): NamespaceRecord => {
    const newer = written.get(record.namespace);
    return newer !== undefined && newer.incarnation === record.incarnation && newer.revision > record.revision
      ? newer
      : record;
  };
  const get = async (namespace: string): Promise<NamespaceRecord | undefined> => {
    const record = await real.namespaces.get(namespace);
    return record === undefined ? undefined : overlay(record);
  };
  /** The overlaid records that are due: the overlay may have changed their state and their times. */
  const due = async (
    list: (options: DueOptions) => Promise<NamespaceRecord[]>,
    instantOf: (record: NamespaceRecord) => number,
    options: DueOptions,
  ): Promise<NamespaceRecord[]> => {
    const isDue = (record: NamespaceRecord): boolean =>
      options.states.includes(record.state) && instantOf(record) <= options.beforeMs;
    for (let limit = options.limit; ; limit *= 2) {
      const page = await list({ ...options, limit, states: ['provisioning', 'active', 'expiring'] });
      const found = page.map(overlay).filter(isDue);
      if (found.length >= options.limit || page.length < limit) return found.slice(0, options.limit);
    }
  };

  const namespaces: NamespaceStore = {
    get,
    async insert(record) {
      onChange({ call: 'insert', subject: record.namespace });
      return await Promise.resolve(false);
    },
    async replace(record, expectedRevision) {
      if ((await get(record.namespace))?.revision !== expectedRevision) return false;
      onChange({ call: 'replace', subject: record.namespace });
      written.set(record.namespace, record);
      return true;
    },
    async remove(namespace) {
      onChange({ call: 'remove', subject: namespace });
      return await Promise.resolve(false);
    },
    async list({ states, after, limit }) {
      const found: NamespaceRecord[] = [];
      for await (const page of namespacePages(real.namespaces, undefined, { after, limit })) {
        for (const record of page.map(overlay)) {
          if (states !== undefined && !states.includes(record.state)) continue;
          found.push(record);
          if (found.length === limit) return found;
        }
      }
      return found;
    },
    dueForRotation: (options) =>
      due(
        (asked) => real.namespaces.dueForRotation(asked),
        ({ nextRotationMs }) => nextRotationMs,
        options,
      ),
    dueForExpiry: (options) =>
      due(
        (asked) => real.namespaces.dueForExpiry(asked),
        ({ expiresMs }) => expiresMs,
        options,
      ),
    countHeldBy: (clientId) => real.namespaces.countHeldBy(clientId),
    countByState: () => real.namespaces.countByState(),
  };
  // There are no requests in an overlay.
  const nonces: NonceStore = {
    areWrittenWithRecord: true,
    get: async () => await Promise.resolve(undefined),
    remember: async (entry) => await Promise.resolve(entry),
    recordOutcome: async () => await Promise.resolve(undefined),
    prune: async () => await Promise.resolve(0),
  };
  // Which secrets an overlay has says nothing about the agents.
  const writesNothing = {
    insert: async () => await Promise.resolve(false),
    replace: async () => await Promise.resolve(false),
    remove: async () => await Promise.resolve(false),
  };
  const secretSightings: Store['secretSightings'] = {
    get: (secretId) => real.secretSightings.get(secretId),
    ...writesNothing,
  };
  const queueExemptions: Store['queueExemptions'] = {
    get: (queue) => real.queueExemptions.get(queue),
    list: (page) => real.queueExemptions.list(page),
    ...writesNothing,
  };
  return { storeId: real.storeId ?? '', namespaces, nonces, secretSightings, queueExemptions };
}
