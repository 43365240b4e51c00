import type { Clock } from '../../util/clock.ts';
import type { MethodHandler } from '../method.ts';

/** Returns the agent's id, version and uptime. */
export function pingMethod(
  agent: { readonly id: string; readonly version: string },
  clock: Clock,
): MethodHandler<'ping'> {
  const startedMs = clock.monotonicMs();
  return async () => ({
    alive: true,
    uptimeSeconds: Math.floor((clock.monotonicMs() - startedMs) / 1000),
    version: agent.version,
    agent: agent.id,
  });
}
