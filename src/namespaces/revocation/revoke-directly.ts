import { forEachConcurrently } from '../../util/concurrency.ts';
import type { Clock } from '../../util/clock.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { namespacePages } from '../../store/paged-listing.ts';
import type { NamespaceStore } from '../../store/store.ts';
import type { Revoker } from './revoke.ts';

/** What {@link createRevokeDirectly} works with. */
export interface RevokeDirectlyParts {
  readonly store: Pick<NamespaceStore, 'list'>;
  readonly revoker: Pick<Revoker, 'revoke'>;
  readonly clock: Clock;
  /** How many at once. */
  readonly width: number;
}

/** Which namespaces, and how. */
export interface DirectRevocation {
  /** Until when claims are refused, in ms since the epoch; undefined: they are not. */
  readonly untilMs: number | undefined;
  /** Told when all namespaces before this name, and it, are done or reported. */
  readonly onProgress: (lastName: string, revoked: number) => void;
  readonly onRevoked: (namespace: string) => Promise<void> | void;
  readonly onFailed: (namespace: string, error: unknown) => void;
  /** Only those after this name. */
  readonly after?: string | undefined;
}

/** Revocation by an operator, without a request. */
export interface RevokeDirectly {
  /** @throws WireError as {@link Revoker.revoke}; AgentError when something is unavailable. */
  one(namespace: string, untilMs: number | undefined, signal: AbortSignal): Promise<void>;
  /**
   * Every namespace that has credentials, in the order of the names, so that it can be taken up where it was broken off.
   * One that fails is reported, and stops none of the others; when nothing works at all it rejects.
   *
   * @returns how many were revoked.
   */
  all(revocation: DirectRevocation, signal: AbortSignal): Promise<number>;
}

/** So many are done before the next are read, and before the place to go on from moves. */
const PAGE = 256;

const WITH_CREDENTIALS: readonly NamespaceRecord['state'][] = ['provisioning', 'active'];

/** Makes it. It does what a request does, without one to remember: running it again revokes again. */
export function createRevokeDirectly({ store, revoker, clock, width }: RevokeDirectlyParts): RevokeDirectly {
  const one = async (namespace: string, untilMs: number | undefined, signal: AbortSignal): Promise<void> => {
    // A name that was claimed anew since then has other credentials than those that were to be revoked.
    const nonce = { key: '', outcome: null, firstSeenMs: clock.nowMs() };
    await revoker.revoke({ namespace, untilMs, nonce }, signal);
  };
  return {
    one,
    async all({ untilMs, onProgress, onRevoked, onFailed, ...from }, signal) {
      let revoked = 0;
      for await (const page of namespacePages(store, signal, { ...from, states: WITH_CREDENTIALS, limit: PAGE })) {
        let failuresInARow = 0;
        await forEachConcurrently(page, width, async ({ namespace }) => {
          signal.throwIfAborted();
          try {
            await one(namespace, untilMs, signal);
            revoked += 1;
            failuresInARow = 0;
          } catch (error) {
            if (signal.aborted) throw error;
            onFailed(namespace, error);
            failuresInARow += 1;
            // It is not the namespaces that are broken.
            if (failuresInARow >= width) throw error;
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
