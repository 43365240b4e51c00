/**
 * Whoever hands a store a record of another revision than the write calls for has a bug that would break every
 * compare-and-set after it.
 *
 * @param name what the record is called in the store
 * @throws RangeError when `record` has another revision
 */
export function requireRevision(record: { readonly revision: number }, revision: number, name: string): void {
  if (record.revision !== revision) {
    throw new RangeError(`The record of ${name} has revision ${record.revision} where ${revision} is to be written.`);
  }
}
