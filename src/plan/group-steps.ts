import type { PlannedStep } from './plan-namespaces.ts';

/** Steps of one kind that are shown as one. */
export interface StepGroup {
  readonly action: PlannedStep['action'];
  /** Whether they are due now; otherwise they will be. */
  readonly isDue: boolean;
  readonly count: number;
  readonly first: PlannedStep;
  readonly last: PlannedStep;
}

/** A plan in short. */
export interface GroupedSteps {
  /** In chronological order. */
  readonly single: readonly PlannedStep[];
  readonly groups: readonly StepGroup[];
}

/** How many steps of one kind are shown one by one. What is lost matters: deletions are grouped only where there are many. */
const SHOWN_SINGLY: Readonly<Record<PlannedStep['action'], number>> = {
  rotate: 3,
  'replace-secret': 3,
  announce: 3,
  recheck: 3,
  delete: 20,
};

/**
 * Groups the steps of a plan by what is done, and whether that is due. Of many deletions the first ones stay single.
 *
 * @param steps in chronological order
 */
export function groupSteps(steps: readonly PlannedStep[], fromMs: number): GroupedSteps {
  const single: PlannedStep[] = [];
  const groups: StepGroup[] = [];
  for (const ofKind of kindsOf(steps, fromMs)) {
    const [{ action, atMs }] = ofKind;
    const limit = SHOWN_SINGLY[action];
    const kept = ofKind.length <= limit ? ofKind.length : action === 'delete' ? limit : 0;
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

type Steps = readonly [PlannedStep, ...PlannedStep[]];

function kindsOf(steps: readonly PlannedStep[], fromMs: number): Iterable<Steps> {
  const kinds = new Map<string, [PlannedStep, ...PlannedStep[]]>();
  for (const step of steps) {
    const kind = `${step.action} ${step.atMs <= fromMs}`;
    const known = kinds.get(kind);
    if (known === undefined) kinds.set(kind, [step]);
    else known.push(step);
  }
  return kinds.values();
}
