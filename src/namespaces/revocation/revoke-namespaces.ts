import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { namespacePages } from '../../store/paged-listing.ts';
import type { NamespaceStore } from '../../store/store.ts';
import type { Clock } from '../../util/clock.ts';
import { forEachConcurrently } from '../../util/concurrency.ts';
import type { Revoker } from './revoke.ts';

interface RevokeDirectlyParts {
  readonly store: Pick<NamespaceStore, 'list'>;
  readonly revoker: Pick<Revoker, 'revoke'>;
  readonly clock: Clock;
  readonly concurrency: number;
}

/** A revocation of all namespaces. */
interface DirectRevocation {
  /** Until when claims are refused, in ms since the epoch; undefined: they are not. */
  readonly untilMs: number | undefined;
  /** Called when all namespaces up to this name are revoked or reported as failed. */
  readonly onProgress: (lastName: string, revoked: number) => void;
  readonly onRevoked: (namespace: string) => Promise<void> | void;
  readonly onFailed: (namespace: string, error: unknown) => void;
  /** Only namespaces after this name. */
  readonly after?: string | undefined;
}

/** Revocation by an operator, without a request. */
export interface RevokeDirectly {
  /** @throws WireError as {@link Revoker.revoke}; AgentError when something is unavailable. */
  one(namespace: string, untilMs: number | undefined, signal: AbortSignal): Promise<void>;
  /**
   * Revokes every namespace that has credentials, sorted by name, so that it can be resumed after an interruption. One
   * that fails is reported and stops none of the rest; when every revocation fails it rejects.
   *
   * @returns how many were revoked.
   */
  all(revocation: DirectRevocation, signal: AbortSignal): Promise<number>;
}

/** Namespaces between two reports of progress. */
const PAGE_SIZE = 256;

const STATES_WITH_CREDENTIALS: readonly NamespaceRecord['state'][] = ['provisioning', 'active'];

/** Revokes as a request does, but has no request that could be redelivered: each call revokes again. */
export function createRevokeDirectly({ store, revoker, clock, concurrency }: RevokeDirectlyParts): RevokeDirectly {
  const one = async (namespace: string, untilMs: number | undefined, signal: AbortSignal): Promise<void> => {
    // A name that is claimed after this instant has other credentials than those to revoke.
    const nonce = { key: '', outcome: null, firstSeenMs: clock.nowMs() };
    await revoker.revoke({ namespace, untilMs, nonce }, signal);
  };
  return {
    one,
    async all({ untilMs, onProgress, onRevoked, onFailed, ...from }, signal) {
      let revoked = 0;
      const pages = namespacePages(store, signal, { ...from, states: STATES_WITH_CREDENTIALS, limit: PAGE_SIZE });
      for await (const page of pages) {
        let failuresInARow = 0;
        await forEachConcurrently(page, concurrency, async ({ namespace }) => {
          signal.throwIfAborted();
          try {
            await one(namespace, untilMs, signal);
            revoked += 1;
            failuresInARow = 0;
          } catch (error) {
            if (signal.aborted) throw error;
            onFailed(namespace, error);
            failuresInARow += 1;
            // The broker or the store is broken and not the namespaces.
            if (failuresInARow >= concurrency) throw error;
            return;
          }
          await onRevoked(namespace);
        });
        const last = page.at(-1)?.namespace;
        if (last !== undefined) onProgress(last, revoked);
      }
      return revoked;
    },
  };
}
