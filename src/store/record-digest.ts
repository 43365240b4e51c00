import { createHash } from 'node:crypto';

const MODULUS = 2n ** 256n;

/**
 * A record as an export has it: with sorted keys, and instants in whole ms, as MongoDB keeps them. So it is the same text
 * whichever store the record comes from.
 */
export function exportedRecord(record: object): string {
  return JSON.stringify(normalized(record));
}

function normalized(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normalized);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(
    entries.map(([key, inner]) => [
      key,
      key.endsWith('Ms') && typeof inner === 'number' ? Math.trunc(inner) : normalized(inner),
    ]),
  );
}

/** How many records a collection has, and a digest of all of them. */
export interface CollectionSummary {
  readonly count: number;
  readonly digest: string;
}

/** Counts records and makes a digest of them that does not depend on their order, which each store has of its own. */
export class RecordDigest {
  #count = 0;
  #sum = 0n;

  /** @param record as of {@link exportedRecord} */
  add(record: string): void {
    this.#count += 1;
    this.#sum = (this.#sum + BigInt(`0x${createHash('sha256').update(record).digest('hex')}`)) % MODULUS;
  }

  summary(): CollectionSummary {
    return { count: this.#count, digest: this.#sum.toString(16).padStart(64, '0') };
  }
}
