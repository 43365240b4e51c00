import assert from 'node:assert/strict';
import { groupSteps } from '../../src/plan/group-steps.ts';
import type { PlannedStep } from '../../src/plan/plan-namespaces.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');

function steps(action: PlannedStep['action'], count: number, fromMs = NOW + 1): PlannedStep[] {
  return Array.from({ length: count }, (_, index) => ({
    namespace: `taskcluster-${action}-${index}`,
    action,
    atMs: fromMs + index,
    why: 'a reason',
  }));
}

function inOrder(...parts: PlannedStep[][]): PlannedStep[] {
  return parts.flat().toSorted((a, b) => a.atMs - b.atMs);
}

describe('the steps of a plan in short', () => {
  it('are single while they are few', () => {
    const few = inOrder(steps('rotate', 3), steps('delete', 20), steps('announce', 1));
    assert.deepEqual(groupSteps(few, NOW), { single: few, groups: [] });
  });

  it('are a group with its first and its last step', () => {
    const rotations = steps('rotate', 63);
    const deletion = steps('delete', 1);
    const { single, groups } = groupSteps(inOrder(rotations, deletion), NOW);
    assert.deepEqual(single, deletion);
    assert.deepEqual(groups, [{ action: 'rotate', isDue: false, count: 63, first: rotations[0], last: rotations[62] }]);
  });

  it('distinguish what is due now from what will be', () => {
    const overdue = steps('rotate', 4, NOW - 10);
    const later = steps('rotate', 5);
    assert.deepEqual(
      groupSteps(inOrder(overdue, later), NOW).groups.map(({ isDue, count }) => [isDue, count]),
      [
        [true, 4],
        [false, 5],
      ],
    );
  });

  it('name the first of many deletions', () => {
    const deletions = steps('delete', 25);
    const { single, groups } = groupSteps(deletions, NOW);
    assert.deepEqual(single, deletions.slice(0, 20));
    assert.deepEqual(
      groups.map(({ count, first, last }) => [count, first, last]),
      [[5, deletions[20], deletions[24]]],
    );
  });

  it('are none without steps', () => {
    assert.deepEqual(groupSteps([], NOW), { single: [], groups: [] });
  });
});
