import type { DeletionBlock, NamespaceRecord } from '../../store/namespace-record.ts';

/** What the deletion of a namespace waits for, as a clause about the namespace. */
export function describeBlock({ queue, node }: DeletionBlock): string {
  return `its queue ${queue} is on node ${node}, which is down`;
}

/** Whether a record says already what blocks its deletion. */
export function hasBlock({ deletionBlock }: NamespaceRecord, block: DeletionBlock | undefined): boolean {
  return deletionBlock?.queue === block?.queue && deletionBlock?.node === block?.node;
}

/** The next revision of an expiring record with what blocks its deletion. */
export function withBlock(record: NamespaceRecord, block: DeletionBlock | undefined): NamespaceRecord {
  const { deletionBlock: _, ...rest } = record;
  return { ...rest, revision: record.revision + 1, ...(block === undefined ? {} : { deletionBlock: block }) };
}
