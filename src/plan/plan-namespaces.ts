import type { Effect } from './record-overlay.ts';
import { namespacePages } from '../store/paged-listing.ts';
import type { StoreReader } from '../store/open-store-to-read.ts';
import type { PlannedQueue } from './plan-queues.ts';
import { type PlanContext, type PlannedStep, planRecord } from './plan-records.ts';

/** What agents would do next, and why. */
export interface Plan {
  /** The instants between which it holds, in ms since the epoch. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** About namespaces, in the order of time. */
  readonly namespaces: readonly PlannedStep[];
  /** What a survey of the queues would do now. */
  readonly queues: readonly PlannedQueue[];
  /** What a comparison of the broker with the store would put right now. */
  readonly broker: BrokerPlan;
}

/** What a comparison would find. */
export interface BrokerPlan {
  /** Accounts that are not as recorded, and in what. */
  readonly repairs: readonly {
    readonly namespace: string;
    readonly account: string;
    readonly why: readonly string[];
  }[];
  /** Connections that are open for too long. */
  readonly connections: readonly { readonly namespace: string; readonly connection: string }[];
  /** Every call that would have changed something. */
  readonly changes: readonly Effect[];
  /** Users that are called like accounts and have no record; nobody touches them. */
  readonly unknown: readonly string[];
}

/** Looks through all records, or those of one namespace, and plans from them alone. */
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
