import { WireError } from '../contract/wire-errors.ts';
import type { ClaimNonce } from '../namespaces/claim/decide-claim.ts';
import type { NonceEntry, NonceStore } from '../store/nonce-records.ts';

/** The use of one nonce by one request. */
export interface NonceUse extends ClaimNonce {
  /** The stored one, or the one that will be stored. */
  readonly entry: NonceEntry;
  /** Whether `entry` is stored. */
  readonly isStored: boolean;
  /** The request is answered: from now on only a stored nonce keeps others from using it. */
  end(): void;
}

/**
 * Begins the use of the nonce of a request whose signature is right. A known one is refused before anything else is done,
 * unless the request is a redelivery. An unknown one is not stored here: `remember` does that, or `writeWith` together with a
 * record. Until then this agent refuses it to other requests: the first that arrives is served, however long it takes.
 *
 * @throws WireError `ReplayDetected`; AgentError when the store does not answer
 */
export type UseNonce = (entry: NonceEntry) => Promise<NonceUse>;

/** Creates the function for one agent. */
export function createUseNonce(nonces: NonceStore): UseNonce {
  /** By key: the uses that are not stored yet. */
  const unstored = new Map<string, NonceEntry>();

  return async (entry) => {
    const first = unstored.get(entry.key);
    if (first === undefined) unstored.set(entry.key, entry);
    else requireRedelivery(entry, first);
    const end = (): void => {
      if (unstored.get(entry.key) === entry) unstored.delete(entry.key);
    };
    let stored: NonceEntry | undefined;
    const setStored = (known: NonceEntry): void => {
      requireRedelivery(entry, known);
      stored = known;
      end();
    };
    const lookUp = async (): Promise<void> => {
      const known = await nonces.get(entry.key);
      if (known !== undefined) setStored(known);
    };
    try {
      await lookUp();
    } catch (error) {
      end();
      throw error;
    }
    return {
      get entry() {
        return stored ?? entry;
      },
      get isStored() {
        return stored !== undefined;
      },
      isWrittenWithRecord: nonces.areWrittenWithRecord,
      async remember() {
        if (stored === undefined) setStored(await nonces.remember(entry));
      },
      async writeWith(write) {
        if (stored !== undefined) return await write(undefined);
        const isWritten = await write(entry);
        if (isWritten) setStored(entry);
        else await lookUp();
        return isWritten;
      },
      end,
    };
  };
}

/** A redelivered request agrees with its first delivery in all of these. */
function requireRedelivery(entry: NonceEntry, first: NonceEntry): void {
  const isRedelivery =
    entry.replyAddress === first.replyAddress &&
    entry.correlationId === first.correlationId &&
    entry.digest === first.digest;
  if (isRedelivery) return;
  throw new WireError('ReplayDetected', 'Another request used this nonce before. Sign each request with a new nonce.');
}
