import assert from 'node:assert/strict';
import type { Store } from '../../src/store/store.ts';

/** The number of concurrent writers. */
export const WRITERS = 32;

export function writers(): number[] {
  return Array.from({ length: WRITERS }, (_, index) => index);
}

/** Which of the concurrent writers got the answer that they won. */
export async function race(write: (writer: number) => Promise<boolean>): Promise<number[]> {
  const won = await Promise.all(writers().map(write));
  return writers().filter((writer) => won[writer]);
}

/** The writers share the stores evenly. */
export function pick(stores: readonly Store[], writer: number): Store {
  const store = stores[writer % stores.length];
  assert.ok(store !== undefined);
  return store;
}
