import type { ManagementCallOptions } from '../../broker/management/management.ts';
import { type Clock, elapsedSinceMs, type Moment, momentOf } from '../../util/clock.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import type { NamespaceStore } from '../../store/store.ts';
import { openWindow } from '../write-window.ts';

/** The namespace that was to be deleted is not being deleted any more: another agent has finished. */
export class DeletedByOther extends Error {
  constructor(namespace: string) {
    super(`Another agent has deleted ${namespace}.`);
    this.name = 'DeletedByOther';
  }
}

/** Stands before every destructive call of a deletion. */
export interface DeletionGuard {
  /** The record as it was read last. */
  readonly record: NamespaceRecord;
  /**
   * What a destructive call has to be made with: it is sent only while the record was read a moment ago. An agent that
   * was stopped in between must not touch what the owner has claimed anew meanwhile.
   *
   * @throws DeletedByOther; AgentError `StoreUnavailable`
   */
  permit(): Promise<ManagementCallOptions & { readonly signal: AbortSignal }>;
  /**
   * Reads the record again.
   *
   * @throws DeletedByOther; AgentError `StoreUnavailable`
   */
  readAgain(): Promise<void>;
}

/** Guards the deletion of what this record, which is `expiring`, names. */
export function guardDeletion(
  {
    store,
    clock,
    fenceMs,
  }: { readonly store: Pick<NamespaceStore, 'get'>; readonly clock: Clock; readonly fenceMs: number },
  read: NamespaceRecord,
  readAt: Moment,
  signal: AbortSignal,
): DeletionGuard {
  let record = read;
  let at = readAt;
  let reading: Promise<void> | undefined;
  const readAgain = async (): Promise<void> => {
    const moment = momentOf(clock);
    const found = await store.get(read.namespace);
    if (found?.state !== 'expiring' || found.incarnation !== read.incarnation) throw new DeletedByOther(read.namespace);
    record = found;
    at = moment;
  };
  return {
    get record() {
      return record;
    },
    readAgain,
    async permit() {
      signal.throwIfAborted();
      // Half the window is left for waiting until the call is sent.
      if (elapsedSinceMs(clock, at) > fenceMs / 2) {
        reading ??= readAgain().finally(() => {
          reading = undefined;
        });
        await reading;
      }
      const window = openWindow(clock, at, fenceMs);
      return { signal, timeoutMs: window.timeoutMs, beforeSend: () => window.assertOpen() };
    },
  };
}
