import { slotOf, standbySlot } from '../namespaces/slots.ts';
import { decideDeletion, type DeletionContext, RELEASE_TAKEOVER_MS } from '../namespaces/deletion/decide-deletion.ts';
import { decideRotation, type RotationContext, slotFreeMs } from '../namespaces/rotation/decide-rotation.ts';
import { deletionStartsMs } from '../namespaces/timing.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';

/** Something that an agent will do about a namespace if nothing happens before. */
export interface PlannedStep {
  readonly namespace: string;
  /**
   * `rotate`; `replace-secret`: name another agent secret for the next generation; `announce`: emit that the namespace
   * is about to expire; `delete`: delete everything it owns; `recheck`: check both accounts after a revocation.
   */
  readonly action: 'rotate' | 'replace-secret' | 'announce' | 'delete' | 'recheck';
  /** When, in ms since the epoch. */
  readonly atMs: number;
  /** Why then, as a clause. */
  readonly why: string;
}

/** What these plans depend on. */
export type PlanContext = Omit<RotationContext, 'nowMs'> & Pick<DeletionContext, 'noticeMs'>;

/**
 * What agents will do about one namespace between two instants, from the record alone, by asking the decisions at every
 * instant at which their answer can change.
 */
export function planRecord(
  record: NamespaceRecord,
  fromMs: number,
  untilMs: number,
  context: PlanContext,
): PlannedStep[] {
  const ends = planEnd(record, fromMs, untilMs, context);
  const endMs = ends.find(({ action }) => action === 'delete')?.atMs ?? Infinity;
  const others = [planRotation(record, fromMs, untilMs, context), planRecheck(record, fromMs, untilMs)].filter(
    (step) => step !== undefined && step.atMs < endMs,
  );
  return [...(others as PlannedStep[]), ...ends].toSorted((a, b) => a.atMs - b.atMs);
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
  const turns = instants(fromMs, untilMs, [nextRotationMs, freeMs, nextRotationMs + rotationMs / 2]);
  for (const atMs of turns) {
    const { action } = decideRotation(record, { ...context, nowMs: atMs });
    if (action === 'wait') continue;
    if (action === 'replace-secret') {
      return {
        namespace,
        action,
        atMs,
        why: 'no agent has rotated it for half an interval: its next secret is nobody’s',
      };
    }
    return { namespace, action, atMs, why: whyRotate(atMs, fromMs, nextRotationMs) };
  }
  return undefined;
}

function whyRotate(atMs: number, fromMs: number, nextRotationMs: number): string {
  if (atMs < nextRotationMs) return 'the secret of its active account is not here';
  if (atMs === nextRotationMs) return 'its interval is over then';
  if (atMs === fromMs) return `it is due since ${new Date(nextRotationMs).toISOString()}`;
  return 'it is due, and until then somebody may rely on its standby account';
}

function planEnd(record: NamespaceRecord, fromMs: number, untilMs: number, context: PlanContext): PlannedStep[] {
  const steps: PlannedStep[] = [];
  const { namespace, expiresMs } = record;
  const turns = instants(fromMs, untilMs, [
    expiresMs - context.noticeMs,
    deletionStartsMs(expiresMs, context.intervals),
    expiresMs + RELEASE_TAKEOVER_MS,
  ]);
  let present = record;
  for (const atMs of turns) {
    const decision = decideDeletion(present, { ...context, nowMs: atMs });
    if (decision.action === 'wait') continue;
    if (decision.action === 'announce') {
      steps.push({ namespace, action: 'announce', atMs, why: `it expires at ${new Date(expiresMs).toISOString()}` });
      present = decision.record;
      continue;
    }
    const why =
      decision.action === 'begin' ? 'nobody has claimed it again by then' : `it was ${record.endReason ?? 'expired'}`;
    steps.push({ namespace, action: 'delete', atMs, why });
    return steps;
  }
  return steps;
}

function planRecheck({ namespace, state, recheckAtMs }: NamespaceRecord, fromMs: number, untilMs: number) {
  if (recheckAtMs === null || recheckAtMs > untilMs || (state !== 'active' && state !== 'provisioning'))
    return undefined;
  const atMs = Math.max(fromMs, recheckAtMs);
  return { namespace, action: 'recheck', atMs, why: 'its credentials were revoked' } as const;
}

/** The present, and those of the instants that come after it, in order. */
function instants(fromMs: number, untilMs: number, later: readonly number[]): number[] {
  return [fromMs, ...later.filter((atMs) => atMs > fromMs && atMs <= untilMs).toSorted((a, b) => a - b)];
}
