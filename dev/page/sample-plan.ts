import type { PlanAnswer, PlanStep, QueueRow } from '../../src/operator-api/schemas.ts';
import { iso, namespaceName } from './sample-installation.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** What is planned for all namespaces, or for one. */
export function samplePlan(
  nowMs: number,
  hours: number,
  namespace: string | undefined,
  queues: readonly QueueRow[],
): PlanAnswer {
  const untilMs = nowMs + hours * HOUR;
  const startMs = Math.ceil(nowMs / HOUR) * HOUR;
  const steps: PlanStep[] = queues.flatMap(({ queue, namespace: owner, next }): PlanStep[] => {
    const at = next?.reachedAt;
    if (next === undefined || !at || Date.parse(at) > nowMs + 2 * HOUR) return [];
    if (namespace === undefined && next.action !== 'delete') return [];
    const action = next.action === 'delete' ? 'delete-queue' : 'warn-queue';
    return [{ at, action, namespace: owner, queue, count: 1, isForecast: true, why: `it reaches ${next.at} messages` }];
  });
  for (let hour = 0; startMs + hour * HOUR < untilMs; hour += 1) {
    const atMs = startMs + hour * HOUR;
    const name = namespace ?? namespaceName(hour * 13);
    const count = namespace === undefined ? 390 + hour * 7 : 1;
    steps.push({
      at: iso(atMs - 39 * MINUTE),
      action: 'rotate',
      namespace: name,
      count,
      ...(count > 1 ? { last: { at: iso(atMs), namespace: namespaceName(hour * 13 + 5) } } : {}),
      isForecast: false,
      why: 'its rotation interval ends',
    });
    if (namespace !== undefined || hour % 5 !== 1) continue;
    const expiring = { namespace: namespaceName(hour * 31), count: 1, isForecast: false } as const;
    steps.push(
      { ...expiring, at: iso(atMs - 20 * MINUTE), action: 'announce', why: 'it expires within an hour' },
      {
        ...expiring,
        at: iso(atMs + 40 * MINUTE),
        action: 'delete',
        queues: 14,
        why: 'it expires without another claim',
      },
    );
  }
  const ahead = steps.filter(({ at }) => Date.parse(at) >= nowMs && Date.parse(at) <= untilMs);
  return { at: iso(nowMs), until: iso(untilMs), steps: ahead.toSorted((a, b) => (a.at < b.at ? -1 : 1)) };
}
