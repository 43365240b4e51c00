import { AgentError } from '../util/agent-errors.ts';

/** Who a store is, and whether agents may use it. */
export interface StoreIdentity {
  /** Random, created with the store; an import gives the store that of the exported one. */
  readonly storeId: string;
  readonly createdMs: number;
  /** Random: an import into it began and has not ended. */
  readonly unfinishedImport?: string;
  /** When it was exported for good: another store has its place. */
  readonly retiredMs?: number;
}

/**
 * Asserts that agents may use the store, and commands may read it: what it has is incomplete, or of the past.
 *
 * @throws AgentError `StoreRefused`
 */
export function assertUsable(identity: StoreIdentity): void {
  if (identity.unfinishedImport !== undefined) {
    throw new AgentError(
      'StoreRefused',
      'The store holds an import that did not end: run "pulse-agent import" again, with the same STORE_URL.',
    );
  }
  if (identity.retiredMs !== undefined) {
    throw new AgentError(
      'StoreRefused',
      `The store was retired by an export on ${new Date(identity.retiredMs).toISOString()}: point STORE_URL to the store that has its place, or, to use this one again, import that export into it with --replace.`,
    );
  }
}
