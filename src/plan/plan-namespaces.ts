import type { Change } from './overlay-entries.ts';
import { namespacePages } from '../store/paged-listing.ts';
import type { StoreReader } from '../store/open-store-to-read.ts';
import type { PlannedQueue } from './plan-queues.ts';
import { type PlanContext, type PlannedStep, planRecord } from './plan-records.ts';

/** What the agents will do next, and why. */
export interface Plan {
  /** The span of the plan, in ms since the epoch. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** In chronological order. */
  readonly namespaces: readonly PlannedStep[];
  /** What a survey of the queues would do now. */
  readonly queues: readonly PlannedQueue[];
  /** What a reconciliation would repair now. */
  readonly broker: BrokerPlan;
}

/** What a reconciliation would do. */
export interface BrokerPlan {
  /** Accounts that drifted from their records, and what differs. */
  readonly repairs: readonly {
    readonly namespace: string;
    readonly account: string;
    readonly why: readonly string[];
  }[];
  /** Connections that have reached their maximum age. */
  readonly connections: readonly { readonly namespace: string; readonly connection: string }[];
  /** Every change that would be made. */
  readonly changes: readonly Change[];
  /** Users without a record that match the account naming scheme; they are left untouched. */
  readonly unknown: readonly string[];
}

/** Plans all namespaces, or one, from their records alone. */
export async function planNamespaces(
  store: Pick<StoreReader, 'namespaces'>,
  span: { readonly fromMs: number; readonly untilMs: number },
  context: PlanContext,
  options: { readonly namespace?: string | undefined; readonly signal: AbortSignal },
): Promise<PlannedStep[]> {
  const { fromMs, untilMs } = span;
  const { namespace, signal } = options;
  if (namespace !== undefined) {
    const record = await store.namespaces.get(namespace);
    return record === undefined ? [] : planRecord(record, fromMs, untilMs, context);
  }
  const steps: PlannedStep[] = [];
  for await (const page of namespacePages(store.namespaces, signal)) {
    for (const record of page) steps.push(...planRecord(record, fromMs, untilMs, context));
  }
  return steps.toSorted((a, b) => a.atMs - b.atMs);
}
