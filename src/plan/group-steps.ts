import type { PlannedStep } from './plan-namespaces.ts';

/** A step about a namespace, or about one of its queues. */
export interface GroupableStep {
  readonly action: PlannedStep['action'] | 'warn-queue' | 'delete-queue' | 'purge-queue' | 'end-exemption';
  readonly atMs: number;
}

/** Steps of one kind that are shown as one. */
export interface StepGroup<Step extends GroupableStep = PlannedStep> {
  readonly action: Step['action'];
  /** Whether they are due now; otherwise they will be. */
  readonly isDue: boolean;
  readonly count: number;
  readonly first: Step;
  readonly last: Step;
}

/** A plan in short. */
export interface GroupedSteps<Step extends GroupableStep = PlannedStep> {
  /** In chronological order. */
  readonly single: readonly Step[];
  readonly groups: readonly StepGroup<Step>[];
}

/** How many steps of one kind are shown one by one. What is lost matters: deletions are grouped only where there are many. */
const SHOWN_SINGLY: Readonly<Record<GroupableStep['action'], number>> = {
  rotate: 3,
  'replace-secret': 3,
  announce: 3,
  recheck: 3,
  delete: 20,
  'warn-queue': 3,
  'delete-queue': 20,
  'purge-queue': 20,
  'end-exemption': 3,
};

/**
 * Groups the steps of a plan by what is done, and whether that is due. Of many deletions the first ones stay single.
 *
 * @param steps in chronological order
 */
export function groupSteps<Step extends GroupableStep>(steps: readonly Step[], fromMs: number): GroupedSteps<Step> {
  const single: Step[] = [];
  const groups: StepGroup<Step>[] = [];
  for (const ofKind of kindsOf(steps, fromMs)) {
    const [{ action, atMs }] = ofKind;
    const limit = SHOWN_SINGLY[action];
    const isLoss = action === 'delete' || action === 'delete-queue' || action === 'purge-queue';
    const kept = ofKind.length <= limit ? ofKind.length : isLoss ? limit : 0;
    single.push(...ofKind.slice(0, kept));
    const [firstLeft] = ofKind.slice(kept);
    if (firstLeft === undefined) continue;
    const count = ofKind.length - kept;
    groups.push({ action, isDue: atMs <= fromMs, count, first: firstLeft, last: ofKind.at(-1) ?? firstLeft });
  }
  return {
    single: single.toSorted((a, b) => a.atMs - b.atMs),
    groups: groups.toSorted((a, b) => a.first.atMs - b.first.atMs),
  };
}

function kindsOf<Step extends GroupableStep>(
  steps: readonly Step[],
  fromMs: number,
): Iterable<readonly [Step, ...Step[]]> {
  const kinds = new Map<string, [Step, ...Step[]]>();
  for (const step of steps) {
    const kind = `${step.action} ${step.atMs <= fromMs}`;
    const known = kinds.get(kind);
    if (known === undefined) kinds.set(kind, [step]);
    else known.push(step);
  }
  return kinds.values();
}
