import { elapsedSinceMs, type Moment, momentOf } from '../../util/clock.ts';
import { isAgentError } from '../../util/agent-errors.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { namespacePages } from '../../store/paged-listing.ts';
import { accountName, activeSlot } from '../accounts/account-names.ts';
import { decideRotation, afterRotation, type RotationContext } from './decide-rotation.ts';
import { addMissingSecrets } from '../accounts/needed-secrets.ts';
import { findDueNamespaces, forEachWithBackoff } from '../due-namespaces.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { fenceMs } from '../timing.ts';
import { openWindow } from '../write-window.ts';

/** Rotates namespaces. */
export interface Rotation {
  /** Rotates all that is due; rejects when the store or the broker does not work. */
  sweep(signal: AbortSignal): Promise<void>;
  /**
   * Looks through all namespaces for secrets that this agent lacks, and rotates those whose active account nobody may be
   * able to hand out.
   *
   * @returns how many namespaces need each missing secret, by its id.
   */
  checkKeys(signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
}

/**
 * Makes the rotation of an installation.
 *
 * Broker first, then compare-and-set: an agent that dies in between has given the standby account a password that nobody
 * holds, and whoever comes next gives it the same one. The standby account has been out of use for half an interval by
 * then, so that no client notices.
 */
export function createRotation(
  context: Pick<
    NamespaceContext,
    'config' | 'store' | 'accounts' | 'keyring' | 'clock' | 'bounds' | 'random' | 'intervals' | 'backoff' | 'reporters'
  >,
): Rotation {
  const { config, store, accounts, keyring, clock, bounds, random, intervals, backoff, reporters } = context;
  const width = config.managementConcurrency;
  const fence = fenceMs(intervals);
  const contextNow = (): RotationContext => ({ nowMs: clock.nowMs(), intervals, keys: keyring });
  /** For what is due: never too early. */
  const dueContext = (): RotationContext => ({ ...contextNow(), nowMs: bounds.earliestMs() });

  /** One try; false when there is nothing to do, or another agent was faster. */
  const rotate = async (record: NamespaceRecord, readAt: Moment, signal: AbortSignal): Promise<boolean> => {
    const decision = decideRotation(record, dueContext());
    if (decision.action === 'wait') return false;
    if (decision.action === 'rename') return await store.replace(decision.record, record.revision);
    const { slot } = decision;
    try {
      const { permissionsVersion } = record;
      const standby = { ...afterRotation(record, contextNow(), random), permissionsVersion };
      await accounts.provision(standby, slot, openWindow(clock, readAt, fence), signal);
    } catch (error) {
      // It stays due.
      if (isAgentError(error, 'WindowClosed')) return false;
      throw error;
    }
    const next = afterRotation(record, contextNow(), random);
    if (!(await store.replace(next, record.revision))) return false;
    reporters.namespaceRotated(next, accountName(config.usernamePrefix, next.namespace, activeSlot(next)));
    return true;
  };

  const rotateAll = async (records: readonly NamespaceRecord[], readAt: Moment, signal: AbortSignal) =>
    await forEachWithBackoff(records, { work: 'rotation', backoff, width, signal }, async (listed) => {
      // Half the window is left for the calls.
      if (elapsedSinceMs(clock, readAt) < fence / 2) return await rotate(listed, readAt, signal);
      const again = momentOf(clock);
      const record = await store.get(listed.namespace);
      return record !== undefined && (await rotate(record, again, signal));
    });

  return {
    async sweep(signal) {
      for (;;) {
        signal.throwIfAborted();
        const readAt = momentOf(clock);
        const due = dueContext();
        const records = await findDueNamespaces(
          (limit) => store.dueForRotation({ states: ['active'], beforeMs: due.nowMs, limit }),
          (record) => decideRotation(record, due).action !== 'wait' && backoff.ready('rotation', record.namespace),
        );
        if ((await rotateAll(records, readAt, signal)) === 0) return;
      }
    },

    async checkKeys(signal) {
      const missing = new Map<string, number>();
      let readAt = momentOf(clock);
      for await (const page of namespacePages(store, signal, { states: ['provisioning', 'active'] })) {
        addMissingSecrets(missing, page, keyring);
        const stranded = page.filter((record) => !keyring.has(record.slots[activeSlot(record) === 1 ? 0 : 1].secretId));
        await rotateAll(stranded, readAt, signal);
        readAt = momentOf(clock);
      }
      return missing;
    },
  };
}
