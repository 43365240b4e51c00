import { decideDeletion, type DeletionContext, RELEASE_TAKEOVER_MS } from '../namespaces/deletion/decide-deletion.ts';
import { describeBlock } from '../namespaces/deletion/deletion-block.ts';
import { decideRotation, type RotationContext, slotFreeMs } from '../namespaces/rotation/decide-rotation.ts';
import { slotOf, standbySlot } from '../namespaces/slots.ts';
import { deletionStartsMs } from '../namespaces/timing.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { QueueExemption } from '../store/queue-exemption-records.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { namespacePages } from '../store/paged-listing.ts';

/** What an agent will do about a namespace unless something else happens first. */
export interface PlannedStep {
  readonly namespace: string;
  /**
   * `rotate`; `replace-secret`: choose another agent secret for the next generation; `announce`: publish that the
   * namespace will expire; `delete`: delete everything in it; `recheck`: check both accounts after a revocation.
   */
  readonly action: 'rotate' | 'replace-secret' | 'announce' | 'delete' | 'recheck';
  /** In ms since the epoch. */
  readonly atMs: number;
  /** The reason, as a clause. */
  readonly why: string;
}

/** What a plan depends on besides the records. */
export interface PlanContext extends Omit<RotationContext, 'nowMs'>, Pick<DeletionContext, 'announceBeforeMs'> {
  /** The exemptions of queues from deletion that end last, by namespace. */
  readonly exemptions?: ReadonlyMap<string, Pick<QueueExemption, 'queue' | 'untilMs'>>;
}

/** Plans all namespaces, or one, from their records alone. */
export async function planNamespaces(
  store: Pick<StoreReader, 'namespaces'>,
  span: { readonly fromMs: number; readonly untilMs: number },
  context: PlanContext,
  options: {
    readonly namespace?: string | undefined;
    /** How many records are planned before other work of the process has its turn. */
    readonly pageSize?: number;
    readonly signal: AbortSignal;
  },
): Promise<PlannedStep[]> {
  const { fromMs, untilMs } = span;
  const { namespace, pageSize, signal } = options;
  if (namespace !== undefined) {
    const record = await store.namespaces.get(namespace);
    return record === undefined ? [] : planRecord(record, fromMs, untilMs, context);
  }
  const steps: PlannedStep[] = [];
  const pages = pageSize === undefined ? {} : { limit: pageSize };
  for await (const page of namespacePages(store.namespaces, signal, pages)) {
    for (const record of page) steps.push(...planRecord(record, fromMs, untilMs, context));
  }
  return steps.toSorted((a, b) => a.atMs - b.atMs);
}

/**
 * Plans one namespace from its record alone: it makes the agents' own decisions at every time at which they can change.
 */
export function planRecord(
  record: NamespaceRecord,
  fromMs: number,
  untilMs: number,
  context: PlanContext,
): PlannedStep[] {
  const deletion = planDeletion(record, fromMs, untilMs, context);
  const deletedMs = deletion.find(({ action }) => action === 'delete')?.atMs ?? Infinity;
  const before = [planRotation(record, fromMs, untilMs, context), planRecheck(record, fromMs, untilMs)].filter(
    (step): step is PlannedStep => step !== undefined && step.atMs < deletedMs,
  );
  return [...before, ...deletion].toSorted((a, b) => a.atMs - b.atMs);
}

function planRotation(
  record: NamespaceRecord,
  fromMs: number,
  untilMs: number,
  context: PlanContext,
): PlannedStep | undefined {
  const { namespace, nextRotationMs } = record;
  const { rotationMs } = context.intervals;
  const freeMs = slotFreeMs(slotOf(record, standbySlot(record)), context.intervals);
  const times = sortedTimes(fromMs, untilMs, [nextRotationMs, freeMs, nextRotationMs + rotationMs / 2]);
  for (const atMs of times) {
    const { action } = decideRotation(record, { ...context, nowMs: atMs });
    if (action === 'wait') continue;
    if (action === 'replace-secret') {
      return { namespace, action, atMs, why: 'overdue by half an interval: no agent has its next secret' };
    }
    return { namespace, action, atMs, why: whyRotate(atMs, fromMs, nextRotationMs) };
  }
  return undefined;
}

function whyRotate(atMs: number, fromMs: number, nextRotationMs: number): string {
  if (atMs < nextRotationMs) return 'the secret of its active account is not configured';
  if (atMs === nextRotationMs) return 'its rotation interval ends';
  if (atMs === fromMs) return `due since ${new Date(nextRotationMs).toISOString()}`;
  return 'due earlier, but clients may use its standby account until then';
}

function planDeletion(record: NamespaceRecord, fromMs: number, untilMs: number, context: PlanContext): PlannedStep[] {
  const steps: PlannedStep[] = [];
  const { namespace, expiresMs } = record;
  const times = sortedTimes(fromMs, untilMs, [
    expiresMs - context.announceBeforeMs,
    deletionStartsMs(expiresMs, context.intervals),
    expiresMs + RELEASE_TAKEOVER_MS,
  ]);
  let current = record;
  for (const atMs of times) {
    const decision = decideDeletion(current, { ...context, nowMs: atMs });
    if (decision.action === 'wait') continue;
    if (decision.action === 'announce') {
      steps.push({ namespace, action: 'announce', atMs, why: `it expires at ${new Date(expiresMs).toISOString()}` });
      current = decision.record;
      continue;
    }
    const exemption = decision.action === 'begin' ? context.exemptions?.get(namespace) : undefined;
    const deletedMs = Math.max(atMs, exemption?.untilMs ?? 0);
    const why = whyDelete(record, decision.action);
    const after = exemption === undefined ? '' : `, and the exemption of its queue ${exemption.queue} has ended`;
    if (deletedMs <= untilMs) steps.push({ namespace, action: 'delete', atMs: deletedMs, why: `${why}${after}` });
    return steps;
  }
  return steps;
}

function whyDelete({ deletionReason, deletionBlock }: NamespaceRecord, action: 'begin' | 'delete'): string {
  if (action === 'begin') return 'it expires without another claim';
  const reason = `it was ${deletionReason ?? 'expired'}`;
  return deletionBlock === undefined ? reason : `${reason}; the deletion waits: ${describeBlock(deletionBlock)}`;
}

function planRecheck({ namespace, state, recheckAtMs }: NamespaceRecord, fromMs: number, untilMs: number) {
  if (recheckAtMs === null || recheckAtMs > untilMs || (state !== 'active' && state !== 'provisioning'))
    return undefined;
  const atMs = Math.max(fromMs, recheckAtMs);
  return { namespace, action: 'recheck', atMs, why: 'its credentials were revoked' } as const;
}

/** `fromMs` and the later times up to `untilMs`, in order. */
function sortedTimes(fromMs: number, untilMs: number, later: readonly number[]): number[] {
  return [fromMs, ...later.filter((atMs) => atMs > fromMs && atMs <= untilMs).toSorted((a, b) => a - b)];
}
