import assert from 'node:assert/strict';
import {
  checkRoundTrip,
  PROBE_EVERY_MS,
  PROBE_PATIENCE_MS,
  type RoundTripFacts,
} from '../../src/requests/round-trip.ts';

const NOW = 1_000_000;
const FACTS: RoundTripFacts = {
  waitingSinceMs: undefined,
  isAccepted: false,
  answeredMs: NOW - PROBE_EVERY_MS,
  wasAnswered: true,
  takenMs: undefined,
  repliedMs: undefined,
};
const LATE = NOW - PROBE_PATIENCE_MS - 1;

function check(given: Partial<RoundTripFacts>) {
  return checkRoundTrip({ ...FACTS, ...given }, NOW);
}

describe('checkRoundTrip', () => {
  const cases: readonly (readonly [string, Partial<RoundTripFacts>, 'starting' | 'up' | 'down'])[] = [
    ['before the first probe', { answeredMs: undefined, wasAnswered: false }, 'starting'],
    ['after an interruption, until a probe is answered', { answeredMs: undefined }, 'down'],
    [
      'while the first probe is never answered',
      { answeredMs: undefined, wasAnswered: false, waitingSinceMs: LATE },
      'starting',
    ],
    ['after an answer', {}, 'up'],
    ['while a probe is not late yet', { waitingSinceMs: NOW - PROBE_PATIENCE_MS }, 'up'],
    ['when the queue does not take a probe', { waitingSinceMs: LATE }, 'down'],
    ['when no probe is answered', { waitingSinceMs: LATE, isAccepted: true }, 'down'],
    ['when no probe was sent for long', { answeredMs: NOW - 60_000 }, 'down'],
    [
      'under overload, while it is given requests and replies to them',
      { waitingSinceMs: LATE, isAccepted: true, takenMs: NOW - 9_000, repliedMs: NOW - 9_000 },
      'up',
    ],
    [
      'under overload at its start',
      { answeredMs: undefined, waitingSinceMs: LATE, isAccepted: true, takenMs: NOW, repliedMs: NOW },
      'up',
    ],
    [
      'under overload, when its replies do not go out',
      { waitingSinceMs: LATE, isAccepted: true, takenMs: NOW, repliedMs: NOW - 10_001 },
      'down',
    ],
    [
      'when the leader is lost under load: what was delivered before does not count for long',
      { waitingSinceMs: LATE, takenMs: NOW - PROBE_PATIENCE_MS - 1, repliedMs: NOW },
      'down',
    ],
    [
      'while a probe is taken late, as by a busy broker that delivers requests',
      { waitingSinceMs: LATE, takenMs: NOW, repliedMs: NOW },
      'up',
    ],
  ];
  for (const [when, facts, expected] of cases) {
    it(`is ${expected} ${when}`, () => {
      const { state, reason } = check(facts);
      assert.equal(state, expected);
      assert.equal(reason === undefined, expected === 'up');
    });
  }

  it('says whether the queue or the agents are at fault', () => {
    assert.match(String(check({ waitingSinceMs: LATE }).reason), /has not taken a request for 4 s/);
    assert.match(String(check({ waitingSinceMs: LATE, isAccepted: true }).reason), /is not answered for 4 s/);
  });
});
