import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { OVERGROWN_ACTIONS, type OvergrownAction } from '../../src/config/queue-rules.ts';
import {
  decideQueueAlert,
  type Depth,
  nextAlert,
  TAKEOVER_AFTER_MS,
  withHigherPeak,
} from '../../src/queues/decide-alert.ts';
import type { QueueAlert, QueueAlertLevel } from '../../src/store/queue-alert-records.ts';
import { alertOf } from '../support/records.ts';

const LIMITS = {
  warnAtMessages: 4000,
  deleteAtMessages: 8000,
  warnAtBytes: 4_000_000,
  deleteAtBytes: 8_000_000,
  onOvergrown: 'delete',
  idleExpiryMs: null,
} as const;
const NOW_MS = Date.parse('2026-11-24T12:00:00Z');
const INCARNATION = alertOf().incarnation;

function depth(messages: number | undefined, given: Partial<Depth> = {}): Depth {
  return { messages, isExact: true, seenMs: NOW_MS, lagMs: 0, ...given };
}

function decide(alert: QueueAlert | undefined, seen: Depth, nowMs: number = seen.seenMs): string {
  return decideQueueAlert(alert, INCARNATION, seen, LIMITS, nowMs);
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

  it('deletes at the threshold for deletion, once the owner was warned', () => {
    assert.equal(decide(old('warned'), depth(7999)), 'none');
    assert.equal(decide(old('warned'), depth(8000)), 'delete');
    assert.equal(decide(old('warned'), depth(8000, { isExact: false })), 'delete');
  });

  it('recovers below half of the threshold for warnings, if the depth is exact', () => {
    assert.equal(decide(old('warned'), depth(2000)), 'none');
    assert.equal(decide(old('warned'), depth(1999)), 'recover');
    assert.equal(decide(old('warned'), depth(0, { isExact: false })), 'none');
  });

  it('does nothing where the depth is unknown', () => {
    assert.equal(decide(undefined, depth(undefined)), 'none');
    assert.equal(decide(old('warned'), depth(undefined)), 'none');
  });

  it('ignores a depth that may have been true only before the alert', () => {
    const warned = alertOf({ level: 'warned', changedMs: NOW_MS });
    assert.equal(decide(warned, depth(9000, { seenMs: NOW_MS }), NOW_MS + 1), 'none');
    assert.equal(decide(warned, depth(9000, { seenMs: NOW_MS + 1 })), 'delete');
    for (const [messages, action] of [
      [9000, 'delete'],
      [0, 'recover'],
    ] as const) {
      assert.equal(decide(warned, depth(messages, { seenMs: NOW_MS + 6_000, lagMs: 6_000 })), 'none');
      assert.equal(decide(warned, depth(messages, { seenMs: NOW_MS + 6_001, lagMs: 6_000 })), action);
    }
  });

  const MB = 1_000_000;
  const size = (bytes: number, seenMs = NOW_MS, lagMs = 0) => ({ bytes: { bytes, seenMs, lagMs } });

  it('warns and deletes by bytes as by messages, however few messages they are', () => {
    assert.equal(decide(undefined, depth(3, size(4 * MB - 1))), 'none');
    assert.equal(decide(undefined, depth(3, size(4 * MB))), 'warn');
    assert.equal(decide(old('warned'), depth(3, size(8 * MB - 1))), 'none');
    assert.equal(decide(old('warned'), depth(3, size(8 * MB))), 'delete');
    assert.equal(decide(old('warned'), depth(8000, size(0))), 'delete');
    const withoutBytes = { ...LIMITS, warnAtBytes: null, deleteAtBytes: null };
    assert.equal(decideQueueAlert(undefined, INCARNATION, depth(3, size(90 * MB)), withoutBytes, NOW_MS), 'none');
  });

  it('recovers only when it is small in messages and in bytes, as far as these are known', () => {
    const large = { ...old('warned'), bytes: 5 * MB };
    assert.equal(decide(large, depth(3, size(2 * MB))), 'none');
    assert.equal(decide(large, depth(3, size(2 * MB - 1))), 'recover');
    assert.equal(decide(large, depth(3)), 'none', 'unknown is not small');
    assert.equal(decide(large, depth(0)), 'recover', 'no message has no bytes');
    assert.equal(decide({ ...large, bytes: 1 * MB }, depth(3)), 'recover');
    assert.equal(decide(old('warned'), depth(3)), 'recover', 'the size was never known');
  });

  it('ignores a size from before the alert, and a recovery in statistics that may be older', () => {
    const warned = alertOf({ level: 'warned', changedMs: NOW_MS, bytes: 5 * MB });
    const later = NOW_MS + 20_000;
    assert.equal(decide(warned, depth(3, { ...size(9 * MB), seenMs: later })), 'none');
    assert.equal(decide(warned, depth(3, { ...size(9 * MB, NOW_MS + 1), seenMs: later })), 'delete');
    assert.equal(decide(warned, depth(3, { ...size(9 * MB, NOW_MS + 8_000, 8_000), seenMs: later })), 'none');
    assert.equal(decide(warned, depth(3, { ...size(1, NOW_MS + 8_000, 8_000), seenMs: later })), 'none');
    assert.equal(decide(warned, depth(3, { ...size(1, NOW_MS + 8_001, 8_000), seenMs: later })), 'recover');
    assert.equal(decide(warned, depth(3, { ...size(1, later, Infinity), seenMs: later })), 'none');
  });

  it('purges, or leaves, at the threshold for deletion where the rule says so, and reports it once', () => {
    const at = (level: QueueAlertLevel, onOvergrown: OvergrownAction, messages: number): string =>
      decideQueueAlert(old(level), INCARNATION, depth(messages), { ...LIMITS, onOvergrown }, NOW_MS);
    assert.equal(at('warned', 'purge', 8000), 'purge');
    assert.equal(at('warned', 'leave', 8000), 'leave');
    assert.equal(at('warned', 'leave', 7999), 'none');
    assert.equal(at('left', 'leave', 9000), 'none');
    assert.equal(at('left', 'leave', 1999), 'recover');
    // The rule was changed.
    assert.equal(at('left', 'delete', 9000), 'delete');
    assert.equal(at('left', 'purge', 9000), 'purge');
    const missing = depth(undefined, { isMissing: true });
    for (const level of ['leaving', 'left'] as const) assert.equal(decide(old(level), missing), 'discard');
    for (const level of ['purging', 'purged'] as const) assert.equal(decide(old(level), missing), 'resume');
  });

  describe('of an unused queue', () => {
    const DAY = 86_400_000;
    const limits = { ...LIMITS, idleExpiryMs: DAY };
    const idle = (idleForMs: number, messages = 3, more: Partial<Depth> = {}) =>
      depth(messages, { idleSinceMs: NOW_MS - idleForMs, hasConsumers: false, ...more });
    const of = (alert: QueueAlert | undefined, seen: Depth, given: Partial<typeof limits> = {}): string =>
      decideQueueAlert(alert, INCARNATION, seen, { ...limits, ...given }, NOW_MS);
    const warned = (agoMs: number) =>
      alertOf({ level: 'warned', messages: 3, idleSinceMs: NOW_MS - 2 * DAY, changedMs: NOW_MS - agoMs });

    it('is to notify its owner after that time, also where it was warned of for its size', () => {
      assert.equal(of(undefined, idle(DAY - 1)), 'none');
      assert.equal(of(undefined, idle(DAY)), 'warn-idle');
      assert.equal(of(undefined, idle(DAY, 4000)), 'warn');
      assert.equal(of(old('warned'), idle(DAY, 4500)), 'warn-idle');
      assert.equal(of(old('left'), idle(DAY, 9000)), 'delete');
      assert.equal(decideQueueAlert(undefined, INCARNATION, idle(9 * DAY), LIMITS, NOW_MS), 'none', 'off by default');
    });

    it('is to delete it after as long again, unless it is used or this is unknown', () => {
      assert.equal(of(warned(DAY - 1), idle(2 * DAY)), 'none');
      assert.equal(of(warned(DAY), idle(2 * DAY)), 'expire');
      assert.equal(of(warned(DAY), depth(3)), 'none', 'unknown');
      assert.equal(of(warned(DAY), depth(3, { hasConsumers: true })), 'discard');
      for (const messages of [2, 4]) assert.equal(of(warned(DAY), idle(2 * DAY, messages)), 'discard');
      assert.equal(of(warned(DAY), idle(2 * DAY, 2, { isExact: false })), 'expire', 'consumers may hold the rest');
      const never = decideQueueAlert(warned(DAY), INCARNATION, idle(2 * DAY), LIMITS, NOW_MS);
      assert.equal(never, 'discard', 'the rule was changed');
    });

    it('holds in every history: a notice at least as long before the deletion, and no use in between', () => {
      const step = fc.record({
        afterMs: fc.integer({ min: 1, max: DAY }),
        consumers: fc.constantFrom(undefined, 0, 0, 0, 1),
        messages: fc.constantFrom(3, 3, 3, 4),
      });
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          let nowMs = NOW_MS;
          let alert: QueueAlert | undefined;
          let idleSinceMs: number | undefined;
          let last = 3;
          for (const { afterMs, consumers, messages } of steps) {
            nowMs += afterMs;
            if (consumers !== 0 || messages !== last) idleSinceMs = consumers === 0 ? nowMs : undefined;
            idleSinceMs = consumers === 0 ? (idleSinceMs ?? nowMs) : undefined;
            last = messages;
            const seen = depth(messages, { seenMs: nowMs, idleSinceMs, hasConsumers: (consumers ?? 0) > 0 });
            const action = decideQueueAlert(alert, INCARNATION, seen, limits, nowMs);
            if (action === 'warn-idle') {
              assert.ok(idleSinceMs !== undefined && nowMs - idleSinceMs >= DAY);
              alert = alertOf({ level: 'warned', messages, idleSinceMs, changedMs: nowMs });
            } else if (action === 'expire') {
              assert.ok(alert !== undefined && consumers === 0 && messages === alert.messages);
              assert.ok(nowMs - alert.changedMs >= DAY);
              alert = undefined;
            } else if (action === 'discard') {
              assert.ok(consumers === 1 || messages !== alert?.messages);
              alert = undefined;
            } else assert.equal(action, 'none');
          }
        }),
      );
    });
  });

  it('leaves an alert to the agent that changed it, and resumes once that agent is presumed dead', () => {
    for (const level of [
      'warning',
      'over',
      'deleting',
      'deleted',
      'purging',
      'purged',
      'leaving',
      'recovering',
    ] as const) {
      const begun = alertOf({ level, changedMs: NOW_MS });
      for (const messages of [undefined, 0, 5000, 9000]) {
        assert.equal(decide(begun, depth(messages), NOW_MS + TAKEOVER_AFTER_MS - 1), 'none');
        assert.equal(decide(begun, depth(messages), NOW_MS + TAKEOVER_AFTER_MS), 'resume');
      }
    }
  });

  it('is not blocked by an alert that a wrong clock dated into the future', () => {
    const ahead = NOW_MS + 86_400_000;
    assert.equal(decide(alertOf({ level: 'warned', changedMs: ahead }), depth(9000)), 'delete');
    assert.equal(decide(alertOf({ level: 'over', changedMs: ahead }), depth(9000)), 'resume');
  });

  it('discards the alert of a missing queue, or of an earlier incarnation', () => {
    const missing = depth(undefined, { isMissing: true });
    assert.equal(decide(old('warned'), missing), 'discard');
    assert.equal(decide(old('warning'), missing), 'discard');
    // The agent may have deleted it.
    assert.equal(decide(old('deleting'), missing), 'resume');
    assert.equal(decide(alertOf({ incarnation: 'other' }), depth(9000)), 'discard');
  });

  it('resumes a deletion of an earlier incarnation that has happened, and discards one that has not', () => {
    const missing = depth(undefined, { isMissing: true });
    for (const incarnation of ['next', undefined]) {
      const orphaned = (level: QueueAlertLevel, seen: Depth, sinceMs = TAKEOVER_AFTER_MS): string =>
        decideQueueAlert(alertOf({ level, changedMs: NOW_MS - sinceMs }), incarnation, seen, LIMITS, NOW_MS);
      assert.equal(orphaned('deleted', missing), 'resume');
      assert.equal(orphaned('deleted', depth(9000)), 'resume', 'a new queue has that name');
      assert.equal(orphaned('deleting', missing), 'resume');
      assert.equal(orphaned('deleting', depth(9000)), 'discard');
      for (const level of ['warning', 'warned', 'over', 'recovering'] as const) {
        assert.equal(orphaned(level, missing), 'discard');
      }
      // The agent that deletes it may be alive.
      for (const level of ['deleting', 'deleted'] as const) {
        assert.equal(orphaned(level, missing, TAKEOVER_AFTER_MS - 1), 'none');
      }
    }
  });

  /** One observation of a history. */
  const observation = fc.record({
    onOvergrown: fc.constantFrom(...OVERGROWN_ACTIONS),
    afterMs: fc.integer({ min: 1, max: 20_000 }),
    messages: fc.option(fc.oneof(fc.integer({ min: 0, max: 12_000 }), fc.constantFrom(1999, 2000, 3999, 4000, 8000)), {
      nil: undefined,
    }),
    bytes: fc.option(fc.integer({ min: 0, max: 12 * MB }), { nil: undefined }),
    isExact: fc.boolean(),
    /** Whether the agent dies while it does what was decided. */
    dies: fc.boolean(),
  });

  it('holds in every history: a warning before the deletion, and a recovery between two warnings', () => {
    fc.assert(
      fc.property(fc.array(observation, { maxLength: 60 }), (observations) => {
        let alert: QueueAlert | undefined;
        let nowMs = NOW_MS;
        let warned = false;
        let wasSmall = true;
        for (const { afterMs, messages, bytes, isExact, dies, onOvergrown } of observations) {
          nowMs += afterMs;
          const observed = bytes === undefined ? undefined : { bytes, seenMs: nowMs, lagMs: 0 };
          const seen = depth(messages, { bytes: observed, isExact, seenMs: nowMs });
          const action = decideQueueAlert(alert, INCARNATION, seen, { ...LIMITS, onOvergrown }, nowMs);
          const isLarge = (threshold: number): boolean =>
            (messages ?? 0) >= threshold || (bytes ?? 0) >= threshold * 1000;
          if (messages !== undefined && messages < 2000) wasSmall = true;
          const move = (level: QueueAlertLevel): void => {
            if (alert !== undefined) alert = nextAlert(alert, { level }, nowMs);
          };
          switch (action) {
            case 'warn':
              assert.ok(isLarge(4000));
              assert.ok(wasSmall, 'a second warning without a recovery in between');
              wasSmall = false;
              alert = alertOf({ level: dies ? 'warning' : 'warned', changedMs: nowMs, bytes: bytes ?? null });
              warned = !dies;
              break;
            case 'recover':
              assert.ok(messages !== undefined && isExact && messages < 2000);
              assert.ok(messages === 0 || bytes === undefined || bytes < 2 * MB);
              if (dies) move('recovering');
              else alert = undefined;
              break;
            case 'leave':
              assert.ok(warned && isLarge(8000) && onOvergrown === 'leave');
              assert.notEqual(alert?.level, 'left', 'reported once');
              move(dies ? 'leaving' : 'left');
              break;
            case 'purge':
            case 'delete':
              assert.ok(warned && isLarge(8000));
              assert.equal(action, onOvergrown);
              if (dies) move('over');
              // Deleted: the next queue of this name begins empty.
              else [alert, warned, wasSmall] = [undefined, false, true];
              break;
            case 'resume':
              if (dies) move(alert?.level ?? 'warned');
              else if (alert?.level === 'leaving') move('left');
              else if (alert?.level === 'warning') [warned] = [true, move('warned')];
              else if (alert?.level === 'recovering') [alert, warned] = [undefined, false];
              else [alert, warned, wasSmall] = [undefined, false, true];
              break;
            case 'warn-idle':
            case 'expire':
            case 'discard':
              assert.fail('nothing to discard, and no rule lets it expire');
              break;
            case 'none':
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the peak of an alert', () => {
  it('is never less than what was decided on, and at most a tenth below what was seen, in every history', () => {
    const seen = fc.record({
      messages: fc.option(fc.nat({ max: 100_000 }), { nil: undefined }),
      bytes: fc.option(fc.nat({ max: 1_000_000 }), { nil: undefined }),
      decides: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(seen, { maxLength: 30 }), (history) => {
        let alert = alertOf({ level: 'warned', messages: 4000, bytes: null, changedMs: NOW_MS });
        let highest = 4000;
        let largest = 0;
        for (const [step, { messages, bytes, decides }] of history.entries()) {
          const seenMs = NOW_MS + (step + 1) * 1000;
          const observed = bytes === undefined ? undefined : { bytes, seenMs, lagMs: 0 };
          const before = alert;
          if (decides && messages !== undefined) {
            alert = nextAlert(alert, { level: 'warned', messages, bytes: bytes ?? null, seenMs }, NOW_MS);
          } else {
            alert = withHigherPeak(alert, depth(messages, { seenMs, bytes: observed })) ?? alert;
            assert.equal(alert.changedMs, before.changedMs);
          }
          assert.ok(alert.revision === before.revision || alert.revision === before.revision + 1);
          highest = Math.max(highest, messages ?? 0);
          largest = Math.max(largest, bytes ?? 0);
          const { peakMessages = alert.messages, peakBytes = 0 } = alert;
          assert.ok(peakMessages <= highest && peakMessages * 1.1 >= highest - 1);
          assert.ok(peakBytes <= largest && peakBytes * 1.1 >= largest - 2);
        }
      }),
    );
  });

  it('does not count what may have been true only before the warning, or while something is done', () => {
    const warned = alertOf({ level: 'warned', changedMs: NOW_MS });
    assert.equal(withHigherPeak(warned, depth(9000, { seenMs: NOW_MS + 5000, lagMs: 6000 })), undefined);
    assert.equal(withHigherPeak(warned, depth(9000, { seenMs: NOW_MS + 7000, lagMs: 6000 }))?.peakMessages, 9000);
    for (const level of ['warning', 'over', 'deleting', 'deleted', 'recovering'] as const) {
      assert.equal(withHigherPeak({ ...warned, level }, depth(9000, { seenMs: NOW_MS + 7000 })), undefined);
    }
  });
});
