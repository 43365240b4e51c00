import type { Log } from '../util/log.ts';
import type { Rotation } from '../namespaces/rotation/rotate.ts';
import type { RecurringJob } from './jobs.ts';

/** A rotation that comes so much later than it is due is no trouble for anybody. */
const ROTATE_EVERY_MS = 1_000;

/** What no key opens is rotated sooner or later all the same: looking for it is not urgent. */
const CHECK_KEYS_EVERY_MS = 60 * 60_000;

/** Rotates what is due. */
export function rotateNamespacesJob(rotation: Pick<Rotation, 'sweep'>): RecurringJob {
  return { name: 'rotate-namespaces', everyMs: ROTATE_EVERY_MS, run: (signal) => rotation.sweep(signal) };
}

/** Looks for namespaces that need an agent secret which this agent lacks. */
export function checkSecretsJob(rotation: Pick<Rotation, 'checkKeys'>, log: Log): RecurringJob {
  return {
    name: 'check-keys',
    everyMs: CHECK_KEYS_EVERY_MS,
    run: (signal) => reportMissingSecrets(rotation, log, signal),
  };
}

/** Says which agent secrets are missing here, and how many namespaces need each. */
export async function reportMissingSecrets(
  rotation: Pick<Rotation, 'checkKeys'>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (const [secretId, namespaces] of await rotation.checkKeys(signal)) {
    log.warn(
      { code: 'secret_missing', secretId, namespaces },
      `this agent does not have secret ${secretId}, which ${namespaces} namespaces need; add it to PULSE_AGENT_PREVIOUS_SECRETS`,
    );
  }
}
