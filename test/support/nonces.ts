import type { ClaimNonce } from '../../src/namespaces/claim/decide-claim.ts';
import type { NonceUse } from '../../src/requests/nonce-use.ts';
import type { NonceEntry } from '../../src/store/nonce-records.ts';

/** The nonce of a claim that is stored already. */
export const STORED_NONCE: ClaimNonce = {
  isWrittenWithRecord: true,
  remember: async () => undefined,
  writeWith: (write) => write(undefined),
};

/** The use of a nonce that is stored already. */
export function storedNonceUse(given: Partial<NonceEntry> = {}): NonceUse {
  const entry: NonceEntry = {
    key: 'k',
    replyAddress: '',
    correlationId: 'c-1',
    digest: '',
    firstSeenMs: 0,
    acceptableUntilMs: 0,
    outcome: null,
    ...given,
  };
  return { ...STORED_NONCE, entry, isStored: true, end: () => undefined };
}
