import type { Clock } from '../util/clock.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { namespacePages } from '../store/paged-listing.ts';
import type { StoreReader } from '../store/open-store-to-read.ts';
import type { DueOptions, NamespaceStore, NonceStore, Store } from '../store/store.ts';
import { type OnEffect, RecordOverlay } from './record-overlay.ts';

/** How long it answers as if a record had been written, in ms. */
const LASTS_MS = 60_000;

/** The part of a store that decisions about namespaces are made from. */
export type OverlaidStore = Pick<Store, 'storeId' | 'namespaces' | 'nonces'>;

/**
 * A store with its writes left out: they are told, and for a while the answers are as if they had been made. A record that
 * is really written meanwhile counts instead.
 */
export function overlayStore(real: StoreReader, clock: Clock, onEffect: OnEffect): OverlaidStore {
  const written = new RecordOverlay<NamespaceRecord>(() => clock.monotonicMs(), LASTS_MS);
  const present = (record: NamespaceRecord): NamespaceRecord => {
    const pretended = written.get(record.namespace);
    return pretended !== undefined &&
      pretended.incarnation === record.incarnation &&
      pretended.revision > record.revision
      ? pretended
      : record;
  };
  const get = async (namespace: string): Promise<NamespaceRecord | undefined> => {
    const record = await real.namespaces.get(namespace);
    return record === undefined ? undefined : present(record);
  };
  /** What is due by the record as it is pretended to be, too, such as one that is now `expiring`. */
  const due = async (
    list: (options: DueOptions) => Promise<NamespaceRecord[]>,
    instantOf: (record: NamespaceRecord) => number,
    options: DueOptions,
  ): Promise<NamespaceRecord[]> => {
    const isDue = (record: NamespaceRecord): boolean =>
      options.states.includes(record.state) && instantOf(record) <= options.beforeMs;
    for (let limit = options.limit; ; limit *= 2) {
      const page = await list({ ...options, limit, states: ['provisioning', 'active', 'expiring'] });
      const found = page.map(present).filter(isDue);
      if (found.length >= options.limit || page.length < limit) return found.slice(0, options.limit);
    }
  };

  const namespaces: NamespaceStore = {
    get,
    async insert(record) {
      onEffect({ call: 'insert', subject: record.namespace });
      return await Promise.resolve(false);
    },
    async replace(record, expectedRevision) {
      if ((await get(record.namespace))?.revision !== expectedRevision) return false;
      onEffect({ call: 'replace', subject: record.namespace });
      written.set(record.namespace, record);
      return true;
    },
    async remove(namespace) {
      onEffect({ call: 'remove', subject: namespace });
      return await Promise.resolve(false);
    },
    async list({ states, after, limit }) {
      const found: NamespaceRecord[] = [];
      for await (const page of namespacePages(real.namespaces, undefined, { after, limit })) {
        for (const record of page.map(present)) {
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
    countByState: () => real.namespaces.countByState(),
  };
  // Nothing is asked for by request here.
  const nonces: NonceStore = {
    remember: async (entry) => await Promise.resolve(entry),
    recordOutcome: async () => await Promise.resolve(undefined),
    prune: async () => await Promise.resolve(0),
  };
  return { storeId: real.storeId ?? '', namespaces, nonces };
}
