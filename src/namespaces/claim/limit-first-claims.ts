import { WireError } from '../../contract/wire-errors.ts';
import type { NamespaceContext } from '../namespace-context.ts';

/**
 * Runs `begin`, which writes the first record of a claim, if the client holds fewer namespaces than it may.
 *
 * @throws WireError `RequestConflict`, and what `begin` throws
 */
export type LimitFirstClaims = (clientId: string, begin: () => Promise<boolean>) => Promise<boolean>;

/**
 * Creates the limit of one agent. First claims of one client are counted and written one after the other, so that many at
 * the same time cannot exceed it; only those of several agents can, by one for each.
 */
export function createFirstClaimLimit({
  config: { maxNamespacesPerClient: limit },
  store,
  reporters,
}: Pick<NamespaceContext, 'config' | 'store' | 'reporters'>): LimitFirstClaims {
  /** The latest first claim of each client that has one in progress. */
  const latest = new Map<string, Promise<unknown>>();

  const beginWithin = async (clientId: string, max: number, begin: () => Promise<boolean>): Promise<boolean> => {
    const held = await store.countHeldBy(clientId);
    if (held < max) return await begin();
    reporters.claimOverLimit();
    throw new WireError(
      'RequestConflict',
      `The client ${clientId} holds ${held} namespaces and may hold ${max}. Release one that is not needed, or ask the operators of this broker for more.`,
      { retryable: false, details: { limit: max, held } },
    );
  };

  return async (clientId, begin) => {
    if (limit === null) return await begin();
    const turn = (latest.get(clientId) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => beginWithin(clientId, limit, begin));
    latest.set(clientId, turn);
    try {
      return await turn;
    } finally {
      if (latest.get(clientId) === turn) latest.delete(clientId);
    }
  };
}
