import type { AgentContext } from '../context.ts';
import { recordSecretsEveryMs } from '../namespaces/accounts/decide-secret-loss.ts';
import type { Namespaces } from '../namespaces/namespaces.ts';
import { createPolling, type Polling } from '../util/polling.ts';

/** Lets this agent record again and again which secrets it has; no job does it, as one agent runs a job for all. */
export function createSecretWatch(
  { sleep }: Pick<AgentContext, 'sleep'>,
  { secrets, intervals }: Pick<Namespaces, 'secrets' | 'intervals'>,
): Polling {
  return createPolling(
    () => secrets.recordHeld(),
    () => recordSecretsEveryMs(intervals),
    sleep,
  );
}
