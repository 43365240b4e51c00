import type { SecretSighting } from '../../store/secret-records.ts';
import type { Store } from '../../store/store.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { afterHeld, afterMissing, lostSinceMs } from './decide-secret-loss.ts';

/** What agents record about which of them has a secret: an agent that lacks it cannot know whether another one has it. */
export interface SecretSightings {
  /**
   * Records that this agent has its secrets, unless that was recorded a moment ago.
   *
   * @throws AgentError `StoreUnavailable`
   */
  recordHeld(): Promise<void>;
  /**
   * Records that this agent needs a secret that it lacks.
   *
   * @returns since when no agent has had it, in ms since the epoch, once that is two rotation intervals ago
   * @throws AgentError `StoreUnavailable`
   */
  recordMissing(secretId: string): Promise<number | undefined>;
}

/** Where another agent writes the same sighting at the same moment, its write counts; each is repeated. */
export function createSecretSightings({
  sightings,
  keyring,
  clock,
  bounds,
  intervals,
}: Pick<NamespaceContext, 'keyring' | 'clock' | 'bounds' | 'intervals'> & {
  readonly sightings: Store['secretSightings'];
}): SecretSightings {
  const write = async (next: SecretSighting): Promise<boolean> =>
    next.revision === 1 ? await sightings.insert(next) : await sightings.replace(next, next.revision - 1);
  return {
    async recordHeld() {
      for (const secretId of keyring.secretIds) {
        const next = afterHeld(await sightings.get(secretId), secretId, clock.nowMs(), intervals);
        if (next !== undefined) await write(next);
      }
    },
    async recordMissing(secretId) {
      const seen = await sightings.get(secretId);
      const next = afterMissing(seen, secretId, clock.nowMs());
      if (next !== undefined) await write(next);
      return lostSinceMs(seen, bounds.earliestMs(), intervals);
    },
  };
}
