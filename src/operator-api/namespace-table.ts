import type { AgentContext } from '../context.ts';
import { describeBlock } from '../namespaces/deletion/deletion-block.ts';
import type { ReadableNamespace } from '../namespaces/read-namespaces.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { namespacePages } from '../store/paged-listing.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { createSnapshot, type Snapshot } from './snapshot.ts';
import { SHOWN_STATES } from './namespace-schemas.ts';

/** A namespace as a list shows it, without its counts. Instants are ms since the epoch. */
export interface NamespaceEntry extends Pick<NamespaceRecord, 'queueLimits'> {
  readonly namespace: string;
  readonly state: ReadableNamespace['state'];
  readonly incarnation: string;
  readonly holder: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly claimedMs: number | undefined;
  /** Until when the credentials handed out last were promised; undefined: none were. */
  readonly reclaimByMs: number | undefined;
  /** Undefined while it is deleted. */
  readonly nextRotationMs: number | undefined;
  readonly blockedBy: string | undefined;
}

/** All namespaces at one instant. */
export interface NamespaceTable {
  readonly atMs: number;
  /** In the order of their names. */
  readonly byName: ReadonlyMap<string, NamespaceEntry>;
}

/** Decoding a record takes some µs: after each page other work of the agent has its turn. */
const PAGE_SIZE = 200;

/** Reads all namespaces, page by page, while they are asked for. */
export function createNamespaceTable({
  store,
  clock,
}: Pick<AgentContext, 'clock'> & {
  readonly store: Pick<StoreReader, 'namespaces'>;
}): Snapshot<NamespaceTable> {
  const read = async (): Promise<NamespaceTable> => {
    const atMs = clock.nowMs();
    const byName = new Map<string, NamespaceEntry>();
    const pages = namespacePages(store.namespaces, undefined, { states: SHOWN_STATES, limit: PAGE_SIZE });
    for await (const page of pages) {
      for (const record of page) if (isShown(record)) byName.set(record.namespace, entryOf(record));
    }
    return { atMs, byName };
  };
  return createSnapshot(read, { clock });
}

function isShown(record: NamespaceRecord): record is ReadableNamespace {
  return record.state !== 'deleted';
}

/** What a list shows of a record. */
export function entryOf(record: ReadableNamespace): NamespaceEntry {
  const { namespace, state, incarnation, claimedBy, createdMs, expiresMs, claimedMs, nextRotationMs, slots } = record;
  const { queueLimits } = record;
  const promisedMs = Math.max(...slots.map(({ promisedUntilMs }) => promisedUntilMs));
  return {
    namespace,
    state,
    incarnation,
    holder: claimedBy,
    createdMs,
    expiresMs,
    claimedMs,
    reclaimByMs: promisedMs === 0 ? undefined : promisedMs,
    nextRotationMs: state === 'expiring' ? undefined : nextRotationMs,
    blockedBy: record.deletionBlock === undefined ? undefined : describeBlock(record.deletionBlock),
    ...(queueLimits === undefined ? {} : { queueLimits }),
  };
}
