import type { ManagementCallOptions } from '../../broker/management/management.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { isAgentError } from '../../util/agent-errors.ts';
import { elapsedSinceMs, type Moment, momentOf } from '../../util/clock.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { fenceMs } from '../timing.ts';
import { openWindow, writeOptions } from '../write-window.ts';

/** The namespace is no longer being deleted: another agent has finished its deletion. */
export class DeletedByOtherAgent extends Error {
  constructor(namespace: string) {
    super(`Another agent has deleted ${namespace}.`);
    this.name = 'DeletedByOtherAgent';
  }
}

/** The options of a destructive call. */
type PermittedOptions = ManagementCallOptions & { readonly signal: AbortSignal };

/**
 * Permits the destructive calls of one deletion. A call is sent only within the write window of its record: an agent
 * that was suspended after it read the record must not delete what a client claimed in between.
 */
export interface DeletionGuard {
  /** The record as it was read last. */
  readonly record: NamespaceRecord;
  /**
   * Makes a call within the write window. When the window closes while the call waits, the record is read again; when
   * the broker fails, the call is repeated once.
   *
   * @throws DeletedByOtherAgent; AgentError `StoreUnavailable`, and what `send` throws
   */
  call<T>(send: (options: PermittedOptions) => Promise<T>): Promise<T>;
  /**
   * Makes sure that the record was read within half a write window.
   *
   * @throws DeletedByOtherAgent; AgentError `StoreUnavailable`
   */
  permit(): Promise<PermittedOptions>;
  /**
   * Reads the record again.
   *
   * @throws DeletedByOtherAgent; AgentError `StoreUnavailable`
   */
  readAgain(): Promise<void>;
}

/**
 * Guards the deletion of a namespace.
 *
 * @param read its record, in the state `expiring`.
 * @param readAt when the reading of the record began.
 */
export function guardDeletion(
  { store, clock, intervals }: Pick<NamespaceContext, 'store' | 'clock' | 'intervals'>,
  read: NamespaceRecord,
  readAt: Moment,
  signal: AbortSignal,
): DeletionGuard {
  const fence = fenceMs(intervals);
  let latest = { record: read, readAt };
  let reading: Promise<void> | undefined;

  const readAgain = async (): Promise<void> => {
    const moment = momentOf(clock);
    const record = await store.get(read.namespace);
    if (record?.state !== 'expiring' || record.incarnation !== read.incarnation) {
      throw new DeletedByOtherAgent(read.namespace);
    }
    latest = { record, readAt: moment };
  };

  const permit = async (): Promise<PermittedOptions> => {
    signal.throwIfAborted();
    // Half the window is left for waiting until the call is sent.
    if (elapsedSinceMs(clock, latest.readAt) > fence / 2) {
      reading ??= readAgain().finally(() => {
        reading = undefined;
      });
      await reading;
    }
    return writeOptions(openWindow(clock, latest.readAt, fence), signal);
  };

  return {
    get record() {
      return latest.record;
    },
    permit,
    readAgain,
    async call(send) {
      for (let failures = 0; ; ) {
        try {
          return await send(await permit());
        } catch (error) {
          if (isAgentError(error, 'WindowClosed')) continue;
          failures += 1;
          // RabbitMQ may fail over what another agent deletes at the same moment, and succeeds at the second attempt.
          if (failures > 1 || !isAgentError(error, 'BrokerUnavailable')) throw error;
        }
      }
    },
  };
}
