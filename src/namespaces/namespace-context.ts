import type { AgentContext } from '../context.ts';
import type { NamespaceStore } from '../store/store.ts';
import type { Keyring } from './accounts/keyring.ts';
import type { Accounts } from './accounts/provision.ts';
import type { Backoff } from './backoff.ts';
import type { ClockBounds } from './clock-bounds.ts';
import type { ExemptQueues } from './deletion/exempt-queues.ts';
import type { Intervals } from './timing.ts';
import type { NonceStore } from '../store/nonce-records.ts';

/** What the parts of this room share. A part takes the fields it needs: `Pick<NamespaceContext, 'store' | 'clock'>`. */
export interface NamespaceContext
  extends Pick<
    AgentContext,
    'config' | 'management' | 'cluster' | 'clock' | 'sleep' | 'randomBytes' | 'random' | 'reporters'
  > {
  readonly store: NamespaceStore;
  readonly storeId: string;
  readonly nonces: Pick<NonceStore, 'recordOutcome'>;
  readonly intervals: Intervals;
  readonly keyring: Keyring;
  readonly accounts: Accounts;
  readonly exempt: ExemptQueues;
  readonly backoff: Backoff;
  readonly bounds: ClockBounds;
}
