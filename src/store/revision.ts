import type { NamespaceRecord } from './records.ts';

/**
 * Whoever hands a store a record of another revision than the write calls for has a bug that would break every
 * compare-and-set after it.
 *
 * @throws RangeError when `record` has another revision
 */
export function requireRevision(record: NamespaceRecord, revision: number): void {
  if (record.revision !== revision) {
    throw new RangeError(
      `The record of ${record.namespace} has revision ${record.revision} where ${revision} is to be written.`,
    );
  }
}
