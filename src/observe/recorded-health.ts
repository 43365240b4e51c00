import type { AgentRecord } from '../store/agent-records.ts';
import type { HealthReport } from './health.ts';

/** The health of an agent as its record has it. */
export function recordedHealth({
  ready,
  degraded,
  stopping,
  parts,
}: HealthReport): Pick<AgentRecord, 'ready' | 'degraded' | 'stopping' | 'parts'> {
  const recorded = Object.entries(parts).map(([part, { state, since, required, reason }]) => [
    part,
    { state, since, required, ...(reason === undefined ? {} : { reason }) },
  ]);
  return { ready, degraded, stopping, parts: Object.fromEntries(recorded) };
}
