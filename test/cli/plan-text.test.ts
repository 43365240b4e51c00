import assert from 'node:assert/strict';
import { createOutput } from '../../src/cli/output.ts';
import { planText } from '../../src/cli/plan-text.ts';
import type { PlannedStep } from '../../src/plan/plan-namespaces.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { limitsOfQueue } from '../../src/queues/queue-limits.ts';
import { QUEUE_CONFIG } from '../support/queue-room.ts';
import { exemptionOf } from '../support/records.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const HOUR_MS = 3_600_000;
const nowhere = { write: () => true };
const { style } = createOutput(nowhere, nowhere, {}, false);

function textOf(given: Partial<Plan>, all = false): string {
  const plan: Plan = {
    fromMs: NOW,
    untilMs: NOW + 12 * HOUR_MS,
    namespaces: [],
    queues: [],
    warned: [],
    exemptions: [],
    broker: { repairs: [], connections: [], changes: [], unknown: [] },
    ...given,
  };
  return planText(plan, all, style);
}

const rotations = Array.from(
  { length: 63 },
  (_, index): PlannedStep => ({
    namespace: `taskcluster-${index}`,
    action: 'rotate',
    atMs: NOW + 60_000 * (index + 1),
    why: 'its rotation interval ends',
  }),
);
const deletion: PlannedStep = {
  namespace: 'taskcluster-old',
  action: 'delete',
  atMs: NOW + HOUR_MS,
  why: 'it expires without another claim',
};

describe('a plan as text', () => {
  it('has many rotations on one line, and what is deleted by name', () => {
    const [groups, table] = textOf({ namespaces: [...rotations, deletion] }).split('\n\n');
    assert.deepEqual(groups?.split('\n'), [
      '63 rotations within 12 h, first at 2026-11-24T12:01:00Z (taskcluster-0), last at 2026-11-24T13:03:00Z (taskcluster-62)',
      '--all lists each of them.',
    ]);
    assert.equal(table?.split('\n').length, 2);
    assert.match(table ?? '', /taskcluster-old +delete +it expires/);
  });

  it('has each step with --all, and where there are few', () => {
    const all = textOf({ namespaces: rotations }, true);
    for (const { namespace } of rotations) assert.ok(all.includes(`${namespace} `), namespace);
    assert.doesNotMatch(all, /63 rotations/);
    const few = textOf({ namespaces: rotations.slice(0, 3) });
    assert.equal(few.match(/ rotate /g)?.length, 3);
  });

  it('says what is due now', () => {
    const due = rotations.map((step) => ({ ...step, atMs: NOW }));
    assert.match(textOf({ namespaces: due }), /^63 rotations due now, first taskcluster-0$/m);
  });

  it('names a warned queue: since when, how deep, how it grows, and when it is deleted', () => {
    const warned: Plan['warned'][number] = {
      queue: 'queue/taskcluster-x/jobs',
      namespace: 'taskcluster-x',
      state: 'warned',
      messages: 5000,
      bytes: 1024 * 1024,
      warnedMs: NOW - HOUR_MS,
      messagesPerMinute: 100,
      bytesPerMinute: undefined,
      next: { action: 'delete', unit: 'messages', at: 8000, reachedMs: NOW + HOUR_MS / 2 },
      limits: limitsOfQueue(QUEUE_CONFIG, 'queue/taskcluster-x/jobs'),
    };
    const text = textOf({ warned: [warned] });
    assert.ok(
      text.includes(
        'since 2026-11-24T11:00:00Z, 5000 messages of 1 MiB, +100 a minute; deleted at 8000 messages: in 30 min, at 2026-11-24T12:30:00Z',
      ),
      text,
    );
    assert.doesNotMatch(text, /no queue exceeds/);
    const next = { ...warned.next, action: 'delete', unit: 'messages', at: 8000, reachedMs: null } as const;
    const idle = textOf({ warned: [{ ...warned, messagesPerMinute: 0, next }] });
    assert.match(idle, /, 0 a minute; deleted at 8000 messages: not at this rate$/m);
    // Reached while its growth was measured, after the plan began.
    const reached = { ...next, reachedMs: NOW + 10_000 };
    assert.match(textOf({ warned: [{ ...warned, messages: 8000, next: reached }] }), /deleted at 8000 messages: now$/m);
    const unknown = textOf({
      warned: [{ ...warned, messages: undefined, messagesPerMinute: undefined, next: undefined }],
    });
    assert.match(unknown, /an unknown number of messages, growth unknown$/m);
  });

  it('names each exempt queue once', () => {
    const of = (name: string) => exemptionOf({ queue: `queue/taskcluster-x/${name}` });
    const deep = {
      ...of('deep'),
      action: 'keep',
      messages: 9000,
      bytes: undefined,
      why: 'it is deep',
      rule: 'default',
    } as const;
    const [, table] = textOf({ queues: [deep], exemptions: [of('deep'), of('small')] }).split('\n\n');
    assert.deepEqual(
      table
        ?.split('\n')
        .map((row) => row.trim().split(/ {2,}/))
        .slice(1),
      [
        ['keep', 'queue/taskcluster-x/deep', 'it is deep'],
        ['keep', 'queue/taskcluster-x/small', 'an operator exempted it from deletion until 2026-11-24T14:00:00.000Z'],
      ],
    );
  });

  it('says that nothing is to be done', () => {
    assert.equal(
      textOf({}),
      'No namespace needs work until 2026-11-25T00:00:00.000Z.\n\nNo drift on the broker, and no queue exceeds its threshold.',
    );
  });
});
