import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { namespacePages } from '../../store/paged-listing.ts';
import { isAgentError } from '../../util/agent-errors.ts';
import { elapsedSinceMs, type Moment, momentOf } from '../../util/clock.ts';
import { accountName } from '../accounts/account-names.ts';
import { addMissingSecrets } from '../accounts/needed-secrets.ts';
import type { SecretSightings } from '../accounts/secret-sightings.ts';
import { findDueNamespaces, forEachWithBackoff } from '../due-namespaces.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { activeSlot, slotOf } from '../slots.ts';
import { fenceMs } from '../timing.ts';
import { openWindow } from '../write-window.ts';
import { afterRotation, decideRotation, type RotationContext } from './decide-rotation.ts';

/** A secret that namespaces need and this agent lacks. */
export interface MissingSecret {
  /** How many namespaces need it. */
  readonly namespaces: number;
  /** Since when no agent has had it, in ms since the epoch, once that is two rotation intervals ago. */
  readonly lostSinceMs: number | undefined;
}

/** Rotates namespaces. */
export interface Rotation {
  /** Rotates every namespace that is due; rejects when the store or the broker does not work. */
  sweep(signal: AbortSignal): Promise<void>;
  /**
   * Searches all namespaces for secrets that this agent lacks, and rotates those whose active account perhaps no agent
   * can hand out.
   *
   * @returns the missing secrets, by secretId.
   */
  checkSecrets(signal: AbortSignal): Promise<ReadonlyMap<string, MissingSecret>>;
}

/**
 * Creates the rotation of an installation.
 *
 * Broker first, then compare-and-set: an agent that dies in between has given the standby account a password that no
 * client holds, and the next rotation gives it the same one. The standby account has been out of use for half an
 * interval by then, so that no client notices.
 */
export function createRotation(
  context: Pick<
    NamespaceContext,
    | 'config'
    | 'store'
    | 'accounts'
    | 'cluster'
    | 'keyring'
    | 'clock'
    | 'bounds'
    | 'random'
    | 'intervals'
    | 'backoff'
    | 'reporters'
  >,
  secrets: Pick<SecretSightings, 'recordMissing'>,
): Rotation {
  const { config, store, accounts, cluster, keyring, clock, bounds, random, intervals, backoff, reporters } = context;
  const fence = fenceMs(intervals);
  const contextNow = (): RotationContext => ({
    nowMs: clock.nowMs(),
    intervals,
    keyring,
    isNodeMissing: cluster.status.is === 'incomplete',
  });
  /** For decisions, which must not come too early. */
  const dueContext = (): RotationContext => ({ ...contextNow(), nowMs: bounds.earliestMs() });

  /** One attempt. @returns false when there is nothing to do, or another agent was faster. */
  const rotate = async (record: NamespaceRecord, readAt: Moment, signal: AbortSignal): Promise<boolean> => {
    const decision = decideRotation(record, dueContext());
    if (decision.action === 'wait') return false;
    if (decision.action === 'replace-secret') return await store.replace(decision.record, record.revision);
    try {
      const since = await cluster.permit(signal);
      const { permissionsVersion } = record;
      const standby = { ...afterRotation(record, contextNow(), random), permissionsVersion };
      await accounts.provision(standby, decision.slot, openWindow(clock, readAt, fence), signal);
      // Otherwise it stays due.
      if (!(await cluster.confirm(since, signal))) return false;
    } catch (error) {
      // It stays due.
      if (isAgentError(error, 'WindowClosed')) return false;
      throw error;
    }
    // A node went missing meanwhile.
    if (decideRotation(record, dueContext()).action !== 'rotate') return false;
    const next = afterRotation(record, contextNow(), random);
    if (!(await store.replace(next, record.revision))) return false;
    reporters.namespaceRotated(next, accountName(config.usernamePrefix, next.namespace, activeSlot(next)));
    return true;
  };

  const rotateAll = async (records: readonly NamespaceRecord[], readAt: Moment, signal: AbortSignal) => {
    const options = { work: 'rotation', backoff, concurrency: config.managementConcurrency, signal } as const;
    return await forEachWithBackoff(records, options, async (listed) => {
      // Half the window is left for the calls.
      if (elapsedSinceMs(clock, readAt) < fence / 2) return await rotate(listed, readAt, signal);
      const readAgainAt = momentOf(clock);
      const record = await store.get(listed.namespace);
      return record !== undefined && (await rotate(record, readAgainAt, signal));
    });
  };

  return {
    async sweep(signal) {
      for (;;) {
        if (!(await cluster.isOpen(signal))) return;
        signal.throwIfAborted();
        const readAt = momentOf(clock);
        const now = dueContext();
        const due = await findDueNamespaces(
          (limit) => store.dueForRotation({ states: ['active'], beforeMs: now.nowMs, limit }),
          (record) => decideRotation(record, now).action !== 'wait' && backoff.ready('rotation', record.namespace),
        );
        if ((await rotateAll(due, readAt, signal)) === 0) return;
      }
    },

    async checkSecrets(signal) {
      const missing = new Map<string, number>();
      const mayRotate = await cluster.isOpen(signal);
      let readAt = momentOf(clock);
      for await (const page of namespacePages(store, signal, { states: ['provisioning', 'active'] })) {
        addMissingSecrets(missing, page, keyring);
        if (!mayRotate) continue;
        const stranded = page.filter((record) => !keyring.has(slotOf(record, activeSlot(record)).secretId));
        await rotateAll(stranded, readAt, signal);
        readAt = momentOf(clock);
      }
      const reported = new Map<string, MissingSecret>();
      for (const [secretId, count] of missing) {
        reported.set(secretId, { namespaces: count, lostSinceMs: await secrets.recordMissing(secretId) });
      }
      return reported;
    },
  };
}
