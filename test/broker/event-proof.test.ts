import assert from 'node:assert/strict';
import {
  afterArrival,
  afterCause,
  afterTry,
  isCauseDue,
  PROOF_TIMES,
  UNPROVEN,
  viewProof,
} from '../../src/broker/event-proof.ts';

const { quietMs, retryMs, silentMs } = PROOF_TIMES;

describe('the proof that broker events arrive', () => {
  const isDue = (proof: Parameters<typeof isCauseDue>[0], nowMs: number): boolean =>
    isCauseDue(proof, PROOF_TIMES, nowMs, viewProof(proof, PROOF_TIMES, nowMs));
  const view = (proof: Parameters<typeof viewProof>[0], nowMs: number) => viewProof(proof, PROOF_TIMES, nowMs);

  it('is sought when events are first consumed, and after a while without one; a busy agent causes none', () => {
    assert.equal(isDue(UNPROVEN, 0), true);
    assert.equal(view(UNPROVEN, 0), 'proving');
    const arrived = afterArrival(1_000);
    assert.equal(isDue(arrived, 999 + quietMs), false);
    assert.equal(isDue(arrived, 1_000 + quietMs), true);
    assert.equal(view(arrived, 10 * quietMs), 'arriving');
  });

  it('is sought again and again, as another agent may get the event, and is any event that arrives', () => {
    const tried = afterCause(afterTry(UNPROVEN, 0), 0, 5);
    assert.equal(isDue(tried, retryMs - 1), false);
    assert.equal(isDue(tried, retryMs), true);
    assert.equal(view(tried, retryMs), 'proving');
    assert.equal(view(afterArrival(retryMs), retryMs), 'arriving');
  });

  it('fails when no event has arrived in time, and ends with the next one; until then fewer are caused', () => {
    const tried = afterTry(afterCause(afterTry(afterArrival(0), quietMs), quietMs, quietMs + 10), quietMs + 5_000);
    assert.equal(view(tried, quietMs + 9 + silentMs), 'arriving');
    assert.equal(view(tried, quietMs + 10 + silentMs), 'silent');
    const retried = afterTry(tried, 2 * quietMs);
    assert.equal(view(retried, 2 * quietMs), 'silent');
    assert.equal(isDue(retried, 2 * quietMs + retryMs), false);
    assert.equal(isDue(retried, 2 * quietMs + silentMs), true);
    assert.equal(view(afterArrival(3 * quietMs), 3 * quietMs), 'arriving');
  });

  it('is unknown, and no fault of the events, while the agent can cause none', () => {
    const tried = afterTry(afterTry(UNPROVEN, 0), retryMs);
    assert.equal(view(tried, silentMs - 1), 'proving');
    assert.equal(view(tried, silentMs), 'unknown');
    assert.equal(view(afterCause(tried, retryMs, silentMs), silentMs), 'proving');
  });

  it('does not count an event that was caused before the latest one arrived', () => {
    const arrived = afterArrival(100);
    assert.equal(afterCause(arrived, 50, 110), arrived);
    const tried = afterTry(arrived, 100 + quietMs);
    assert.equal(afterCause(tried, 50, 100 + quietMs).causedMs, undefined);
  });
});
