import type { Management } from '../broker/management/management.ts';
import { forEachConcurrently } from '../util/concurrency.ts';
import type { RemovalStep, RemovedKind } from './plan-uninstall.ts';

/** The calls that remove things. */
export type InstallationRemovals = Pick<
  Management,
  | 'deleteUser'
  | 'deleteQueue'
  | 'deleteExchange'
  | 'deletePolicy'
  | 'deleteOperatorPolicy'
  | 'deleteVhost'
  | 'deletePermissions'
  | 'deleteGlobalParameter'
>;

/** Something that could not be removed. */
export interface RemovalFault {
  readonly name: string;
  readonly error: unknown;
}

/** What became of a step. */
export interface StepOutcome {
  readonly step: RemovalStep;
  /** How many things are gone now. */
  readonly removed: number;
  readonly faults: readonly RemovalFault[];
  /** It was not tried, because another step failed. */
  readonly isKept: boolean;
}

/** A vhost with many queues takes this long, in ms. */
const VHOST_TIMEOUT_MS = 60_000;

/**
 * Removes what the steps name, one step after the other. A failure stops neither its step nor the others, but the marker
 * stays then: it says whose the rest is. What is gone already counts as removed.
 *
 * @throws only the signal's reason
 */
export async function removeInstallation(
  management: InstallationRemovals,
  steps: readonly RemovalStep[],
  { concurrency, onOutcome }: { readonly concurrency: number; readonly onOutcome: (outcome: StepOutcome) => void },
  signal: AbortSignal,
): Promise<StepOutcome[]> {
  const outcomes: StepOutcome[] = [];
  for (const step of steps) {
    const isKept = step.kind === 'global parameter' && outcomes.some(({ faults }) => faults.length > 0);
    const faults: RemovalFault[] = [];
    let removed = 0;
    if (!isKept) {
      await forEachConcurrently(step.names, concurrency, async (name) => {
        signal.throwIfAborted();
        try {
          await REMOVALS[step.kind](management, name, step.vhost ?? '', signal);
          removed += 1;
        } catch (error) {
          signal.throwIfAborted();
          faults.push({ name, error });
        }
      });
    }
    const outcome = { step, removed, faults, isKept };
    outcomes.push(outcome);
    onOutcome(outcome);
  }
  return outcomes;
}

type Removal = (management: InstallationRemovals, name: string, vhost: string, signal: AbortSignal) => Promise<boolean>;

const REMOVALS: Readonly<Record<RemovedKind, Removal>> = {
  user: (management, name, _, signal) => management.deleteUser(name, { signal }),
  queue: (management, name, vhost, signal) => management.deleteQueue(vhost, name, { signal }),
  exchange: (management, name, vhost, signal) => management.deleteExchange(vhost, name, { signal }),
  policy: (management, name, vhost, signal) => management.deletePolicy(vhost, name, { signal }),
  'operator policy': (management, name, vhost, signal) => management.deleteOperatorPolicy(vhost, name, { signal }),
  vhost: (management, name, _, signal) => management.deleteVhost(name, { signal, timeoutMs: VHOST_TIMEOUT_MS }),
  permissions: (management, name, vhost, signal) => management.deletePermissions(vhost, name, { signal }),
  'global parameter': (management, name, _, signal) => management.deleteGlobalParameter(name, { signal }),
};
