import { isDeepStrictEqual } from 'node:util';
import type { DeletionBlock, NamespaceRecord } from '../../store/namespace-record.ts';

/** What the deletion of a namespace waits for, as a clause about the namespace. */
export function describeBlock(block: DeletionBlock): string {
  return 'node' in block
    ? `its queue ${block.queue} is on node ${block.node}, which is down`
    : `an operator exempted its queue ${block.queue} from deletion until ${block.exemptUntil}`;
}

/** Whether a record says already what blocks its deletion. */
export function hasBlock({ deletionBlock }: NamespaceRecord, block: DeletionBlock | undefined): boolean {
  return isDeepStrictEqual(deletionBlock, block);
}

/** The next revision of an expiring record with what blocks its deletion. */
export function withBlock(record: NamespaceRecord, block: DeletionBlock | undefined): NamespaceRecord {
  const { deletionBlock: _, ...rest } = record;
  return { ...rest, revision: record.revision + 1, ...(block === undefined ? {} : { deletionBlock: block }) };
}
