import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { decideQueueAlert, type Depth, FINISH_MS, nextAlert } from '../../src/queues/decide-alert.ts';
import type { QueueAlert, QueueAlertLevel } from '../../src/store/queue-alert-records.ts';
import { alertOf } from '../support/records.ts';

const LIMITS = { warnAtMessages: 4000, deleteAtMessages: 8000 };
const NOW_MS = Date.parse('2026-11-24T12:00:00Z');
const LIFE = alertOf().incarnation;

function depth(messages: number | undefined, given: Partial<Depth> = {}): Depth {
  return { messages, isWhole: true, seenMs: NOW_MS, ...given };
}

function decide(alert: QueueAlert | undefined, seen: Depth, nowMs: number = seen.seenMs): string {
  return decideQueueAlert(alert, LIFE, seen, LIMITS, nowMs);
}

function old(level: QueueAlertLevel): QueueAlert {
  return alertOf({ level, changedMs: NOW_MS - 3_600_000 });
}

describe('the decision about a queue', () => {
  it('warns at the threshold, and not below', () => {
    assert.equal(decide(undefined, depth(3999)), 'none');
    assert.equal(decide(undefined, depth(4000)), 'warn');
    assert.equal(decide(undefined, depth(1_000_000)), 'warn');
  });

  it('condemns at the threshold for deletion, once it was warned of', () => {
    assert.equal(decide(old('warned'), depth(7999)), 'none');
    assert.equal(decide(old('warned'), depth(8000)), 'condemn');
    assert.equal(decide(old('warned'), depth(8000, { isWhole: false })), 'condemn');
  });

  it('takes it for recovered below half of the threshold for warnings, if that is all that is in it', () => {
    assert.equal(decide(old('warned'), depth(2000)), 'none');
    assert.equal(decide(old('warned'), depth(1999)), 'recover');
    assert.equal(decide(old('warned'), depth(0, { isWhole: false })), 'none');
  });

  it('changes nothing where the depth is unknown', () => {
    assert.equal(decide(undefined, depth(undefined)), 'none');
    assert.equal(decide(old('warned'), depth(undefined)), 'none');
  });

  it('does not go by a look from before the alert, nor by a listing that may lag behind it', () => {
    const warned = alertOf({ level: 'warned', changedMs: NOW_MS });
    assert.equal(decide(warned, depth(9000, { seenMs: NOW_MS }), NOW_MS + 1), 'none');
    assert.equal(decide(warned, depth(9000, { seenMs: NOW_MS + 1 })), 'condemn');
    assert.equal(decide(warned, depth(0, { seenMs: NOW_MS + 3_000 })), 'none');
    assert.equal(decide(warned, depth(0, { seenMs: NOW_MS + 3_001 })), 'recover');
  });

  it('leaves what another agent has begun to it, and takes it over when that agent must be dead', () => {
    for (const level of ['warning', 'over', 'deleting', 'deleted', 'recovering'] as const) {
      const begun = alertOf({ level, changedMs: NOW_MS });
      for (const messages of [undefined, 0, 5000, 9000]) {
        assert.equal(decide(begun, depth(messages), NOW_MS + FINISH_MS - 1), 'none');
        assert.equal(decide(begun, depth(messages), NOW_MS + FINISH_MS), 'carry-on');
      }
    }
  });

  it('is not stopped by an alert from a future that was a wrong clock', () => {
    const ahead = NOW_MS + 86_400_000;
    assert.equal(decide(alertOf({ level: 'warned', changedMs: ahead }), depth(9000)), 'condemn');
    assert.equal(decide(alertOf({ level: 'over', changedMs: ahead }), depth(9000)), 'carry-on');
  });

  it('forgets what is about a queue that is gone, or of an earlier incarnation', () => {
    const gone = depth(undefined, { isGone: true });
    assert.equal(decide(old('warned'), gone), 'forget');
    assert.equal(decide(old('warning'), gone), 'forget');
    // It may be the agent that has deleted it.
    assert.equal(decide(old('deleting'), gone), 'carry-on');
    assert.equal(decide(alertOf({ incarnation: 'other' }), depth(9000)), 'forget');
  });

  it('goes on with what was deleted in an earlier incarnation, and forgets what was to be', () => {
    const gone = depth(undefined, { isGone: true });
    for (const incarnation of ['next', undefined]) {
      const orphaned = (level: QueueAlertLevel, seen: Depth, sinceMs = FINISH_MS): string =>
        decideQueueAlert(alertOf({ level, changedMs: NOW_MS - sinceMs }), incarnation, seen, LIMITS, NOW_MS);
      assert.equal(orphaned('deleted', gone), 'carry-on');
      assert.equal(orphaned('deleted', depth(9000)), 'carry-on', 'one of that name was made anew');
      assert.equal(orphaned('deleting', gone), 'carry-on');
      assert.equal(orphaned('deleting', depth(9000)), 'forget');
      for (const level of ['warning', 'warned', 'over', 'recovering'] as const) {
        assert.equal(orphaned(level, gone), 'forget');
      }
      // The agent that deletes it may live.
      for (const level of ['deleting', 'deleted'] as const) {
        assert.equal(orphaned(level, gone, FINISH_MS - 1), 'none');
      }
    }
  });

  /** One look of a history: so much later, so deep, and whether it shows all. */
  const look = fc.record({
    afterMs: fc.integer({ min: 1, max: 20_000 }),
    messages: fc.option(fc.oneof(fc.integer({ min: 0, max: 12_000 }), fc.constantFrom(1999, 2000, 3999, 4000, 8000)), {
      nil: undefined,
    }),
    isWhole: fc.boolean(),
    /** Whether the agent dies in the middle of what the look asks for. */
    dies: fc.boolean(),
  });

  it('holds through any history: warned before deleted, and small between two warnings', () => {
    fc.assert(
      fc.property(fc.array(look, { maxLength: 60 }), (looks) => {
        let alert: QueueAlert | undefined;
        let nowMs = NOW_MS;
        let warned = false;
        let wasSmall = true;
        for (const { afterMs, messages, isWhole, dies } of looks) {
          nowMs += afterMs;
          const action = decide(alert, depth(messages, { isWhole, seenMs: nowMs }));
          if (messages !== undefined && messages < 2000) wasSmall = true;
          const move = (level: QueueAlertLevel): void => {
            if (alert !== undefined) alert = nextAlert(alert, { level }, nowMs);
          };
          switch (action) {
            case 'warn':
              assert.ok(messages !== undefined && messages >= 4000);
              assert.ok(wasSmall, 'a second warning without a small depth in between');
              wasSmall = false;
              alert = alertOf({ level: dies ? 'warning' : 'warned', changedMs: nowMs });
              warned = !dies;
              break;
            case 'recover':
              assert.ok(messages !== undefined && isWhole && messages < 2000);
              if (dies) move('recovering');
              else alert = undefined;
              break;
            case 'condemn':
              assert.ok(warned && messages !== undefined && messages >= 8000);
              if (dies) move('over');
              // Deleted: the next one of this name begins empty.
              else [alert, warned, wasSmall] = [undefined, false, true];
              break;
            case 'carry-on':
              if (dies) move(alert?.level ?? 'warned');
              else if (alert?.level === 'warning') [warned] = [true, move('warned')];
              else if (alert?.level === 'recovering') [alert, warned] = [undefined, false];
              else [alert, warned, wasSmall] = [undefined, false, true];
              break;
            case 'forget':
              assert.fail('nothing to forget');
              break;
            case 'none':
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});
