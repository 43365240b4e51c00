import type { AgentContext } from '../context.ts';
import { formatInstant } from '../contract/fields.ts';
import type { Keyring } from '../namespaces/accounts/keyring.ts';
import type { Intervals } from '../namespaces/timing.ts';
import { groupSteps, type GroupableStep } from '../plan/group-steps.ts';
import { planNamespaces } from '../plan/plan-namespaces.ts';
import { readExemptions } from '../store/paged-listing.ts';
import { exemptionsInForce, type QueueExemption } from '../store/queue-exemption-records.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { BoundedMap } from '../util/bounded-map.ts';
import type { EndpointReads } from './endpoint.ts';
import type { PlanStep } from './plan-schemas.ts';
import type { QueueTable } from './queue-table.ts';
import { createSnapshot, type Snapshot, valueOrUnknown } from './snapshot.ts';

/** A step of the plan of the page: about a namespace, or about a queue. */
export interface ShownStep extends GroupableStep {
  readonly namespace: string;
  readonly queue?: string;
  readonly why: string;
  readonly isForecast: boolean;
}

/** What the plans are made of. */
export interface PlanReadParts extends Pick<AgentContext, 'config' | 'clock'> {
  readonly store: Pick<StoreReader, 'namespaces' | 'queueExemptions'>;
  readonly intervals: Intervals;
  readonly keyring: Keyring;
  readonly queues: Snapshot<QueueTable>;
}

/** Plans the work on one namespace, or on all. */
export type PlanSteps = (hours: number, namespace: string | undefined, signal: AbortSignal) => Promise<ShownPlan>;

interface ShownPlan {
  readonly fromMs: number;
  readonly untilMs: number;
  /** In chronological order. */
  readonly steps: readonly ShownStep[];
  /** Those that hold. */
  readonly exemptions: readonly QueueExemption[];
  /** Undefined: unknown. */
  readonly queuesOf: (namespace: string) => number | undefined;
}

const HOUR_MS = 3_600_000;

/** A decision takes some µs, and each record several: after each page other work of the agent has its turn. */
const PAGE_SIZE = 100;

/** How many spans are planned at the same time for viewers to share. */
const MAX_SPANS = 4;

/** Plans with the decisions of the agents, and with the forecasts of queues. */
export function createPlanSteps({ config, clock, store, intervals, keyring, queues }: PlanReadParts): PlanSteps {
  return async (hours, namespace, signal) => {
    const table = await valueOrUnknown(queues);
    const concerns = (one: { readonly namespace: string }): boolean => (namespace ?? one.namespace) === one.namespace;
    const fromMs = clock.nowMs();
    const exemptions = [...exemptionsInForce(await readExemptions(store.queueExemptions), fromMs).values()];
    const span = { fromMs, untilMs: fromMs + hours * HOUR_MS };
    const context = {
      intervals,
      keyring,
      announceBeforeMs: config.expiryAnnouncementSeconds * 1000,
      // In this order the latest of a namespace stays in the map.
      exemptions: new Map(exemptions.toSorted((a, b) => a.untilMs - b.untilMs).map((one) => [one.namespace, one])),
    };
    const planned = await planNamespaces({ namespaces: store.namespaces }, span, context, {
      namespace,
      signal,
      pageSize: PAGE_SIZE,
    });
    const steps = [
      ...planned.map((step) => ({ ...step, isForecast: false })),
      ...queueSteps(
        {
          rows: (namespace === undefined ? table?.rows : table?.byNamespace.get(namespace)) ?? [],
          exemptions: exemptions.filter(concerns),
        },
        span.untilMs,
      ),
    ];
    return {
      ...span,
      steps: steps.toSorted((a, b) => a.atMs - b.atMs),
      exemptions: exemptions.filter(concerns),
      queuesOf: (name) => (table === undefined ? undefined : (table.byNamespace.get(name)?.length ?? 0)),
    };
  };
}

/** A queue that is left has a notice as well. */
const QUEUE_ACTIONS = {
  warn: 'warn-queue',
  leave: 'warn-queue',
  delete: 'delete-queue',
  purge: 'purge-queue',
} as const;

/** When queues reach their next thresholds at their present rates, and when exemptions end. */
export function queueSteps(
  { rows, exemptions }: Pick<QueueTable, 'rows'> & { readonly exemptions: readonly QueueExemption[] },
  untilMs: number,
): ShownStep[] {
  const reached = rows.flatMap(({ queue, namespace, next, messagesPerMinute }): ShownStep[] => {
    const atMs = next?.reachedMs ?? Infinity;
    if (next === undefined || atMs > untilMs) return [];
    const rate =
      messagesPerMinute === undefined || next.unit === 'bytes'
        ? ''
        : `, it grows by ${Math.round(messagesPerMinute)} a minute`;
    const why = `it reaches ${next.at} ${next.unit}${rate}`;
    return [{ action: QUEUE_ACTIONS[next.action], atMs, namespace, queue, why, isForecast: true }];
  });
  const ending = exemptions
    .filter((one) => one.untilMs <= untilMs)
    .map(({ queue, namespace, untilMs: atMs, reason }): ShownStep => {
      const why = `an operator exempted it until then${reason === null ? '' : `: ${reason}`}`;
      return { action: 'end-exemption', atMs, namespace, queue, why, isForecast: false };
    });
  return [...reached, ...ending];
}

/** Reads plans. Viewers share those of all namespaces. */
export function createReadPlan(plan: PlanSteps, clock: AgentContext['clock']): EndpointReads['plan'] {
  const snapshots = new BoundedMap<number, Snapshot<ShownPlan>>({ maxSize: MAX_SPANS });
  const ofAll = (hours: number): Snapshot<ShownPlan> => {
    const known = snapshots.get(hours);
    if (known !== undefined) return known;
    const read = () => plan(hours, undefined, new AbortController().signal);
    const made = createSnapshot(read, { clock });
    snapshots.set(hours, made);
    return made;
  };
  return async ({ hours, namespace }, signal) => {
    const made = namespace === undefined ? await ofAll(hours).get() : await plan(hours, namespace, signal);
    const { fromMs, untilMs } = made;
    return {
      at: formatInstant(fromMs),
      until: formatInstant(untilMs),
      steps: stepViews(made, namespace === undefined),
    };
  };
}

/** The steps as the page shows them, in chronological order. */
export function stepViews(
  { steps, fromMs, queuesOf }: Pick<ShownPlan, 'steps' | 'fromMs' | 'queuesOf'>,
  isGrouped: boolean,
): PlanStep[] {
  const { single, groups } = isGrouped ? groupSteps(steps, fromMs) : { single: steps, groups: [] };
  const shown = [
    ...single.map((step) => ({ step, more: {} })),
    ...groups.map(({ first, last, count }) => ({
      step: first,
      more: { count, last: { at: formatInstant(last.atMs), namespace: last.namespace } },
    })),
  ];
  return shown
    .toSorted((a, b) => a.step.atMs - b.step.atMs)
    .map(({ step: { atMs, action, namespace, queue, why, isForecast }, more }) => ({
      at: formatInstant(atMs),
      action,
      namespace,
      ...(queue === undefined ? {} : { queue }),
      ...deletedQueues(action, queuesOf(namespace)),
      count: 1,
      isForecast,
      why,
      ...more,
    }));
}

function deletedQueues(action: ShownStep['action'], queues: number | undefined): { queues?: number } {
  return action === 'delete' && queues !== undefined ? { queues } : {};
}
