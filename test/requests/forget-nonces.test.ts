import assert from 'node:assert/strict';
import { pino } from 'pino';
import { assert as called, stub } from 'sinon';
import { forgetNonces } from '../../src/requests/forget-nonces.ts';

/** Lets so many rounds begin, then aborts. */
function rounds(count: number, stop: AbortController): (ms: number) => Promise<void> {
  let begun = 0;
  return async () => {
    begun += 1;
    if (begun <= count) return;
    stop.abort();
    throw stop.signal.reason as Error;
  };
}

describe('forgetNonces', () => {
  const log = pino({ level: 'silent' });
  const clock = { nowMs: () => 1_000_000, monotonicMs: () => 0 };

  it('removes what is past at this moment, round after round, until it is stopped', async () => {
    const stop = new AbortController();
    const prune = stub().resolves(3);
    await forgetNonces({ nonces: { prune }, clock, log, everyMs: 5, wait: rounds(2, stop) }, stop.signal);
    called.calledTwice(prune);
    called.alwaysCalledWithExactly(prune, 1_000_000);
  });

  it('goes on after a round that failed', async () => {
    const stop = new AbortController();
    const prune = stub().resolves(0).onFirstCall().rejects(new Error('the store is away'));
    await forgetNonces({ nonces: { prune }, clock, log, everyMs: 5, wait: rounds(2, stop) }, stop.signal);
    assert.equal(prune.callCount, 2);
  });

  it('ends while it waits', async () => {
    const stop = new AbortController();
    const prune = stub();
    const ended = forgetNonces({ nonces: { prune }, clock, log, everyMs: 60_000 }, stop.signal);
    stop.abort();
    await ended;
    called.notCalled(prune);
  });
});
