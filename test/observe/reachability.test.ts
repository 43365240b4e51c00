import assert from 'node:assert/strict';
import { once } from 'node:events';
import { EventEmitter } from 'node:events';
import { AgentError } from '../../src/util/agent-errors.ts';
import { type Reachability, watchReachability } from '../../src/observe/reachability.ts';
import { addCleanup } from '../support/cleanup.ts';

/** A service to probe: each probe is recorded and answered by `answer`. */
function makeOtherSide(answer: (signal: AbortSignal) => Promise<unknown>) {
  const probed = new EventEmitter();
  let probes = 0;
  const watched = (parts: { everyMs: number; soonMs?: number; timeoutMs?: number }): Reachability => {
    const reachability = watchReachability({
      soonMs: 1,
      timeoutMs: 60_000,
      ...parts,
      async probe(signal) {
        probes += 1;
        probed.emit('probe');
        return await answer(signal);
      },
    });
    addCleanup(() => reachability.close());
    return reachability;
  };
  return { watched, next: () => once(probed, 'probe'), probes: () => probes };
}

async function until(reachability: Reachability, state: string): Promise<void> {
  while (reachability.check().state !== state) await new Promise((resolve) => setImmediate(resolve));
}

const HOUR_MS = 3_600_000;

describe('the reachability of a service', () => {
  it('is unknown at first, and up after the first answer', async () => {
    const { watched } = makeOtherSide(async () => 'anything');
    const reachability = watched({ everyMs: HOUR_MS });
    assert.equal(reachability.check().state, 'starting');
    await until(reachability, 'up');
  });

  it('is down with the message of an AgentError, and probed again soon until it is up', async () => {
    let works = false;
    const { watched } = makeOtherSide(async () => {
      if (!works) throw new AgentError('StoreUnavailable', 'Start it.');
    });
    const reachability = watched({ everyMs: HOUR_MS });
    await until(reachability, 'down');
    assert.equal(reachability.check().reason, 'StoreUnavailable: Start it.');
    works = true;
    await until(reachability, 'up');
  });

  it('hides an error that may contain secrets', async () => {
    const { watched } = makeOtherSide(() => Promise.reject(new Error('amqp://u:secret@h')));
    const reachability = watched({ everyMs: HOUR_MS });
    await until(reachability, 'down');
    assert.doesNotMatch(JSON.stringify(reachability.check()), /secret/);
  });

  it('is down when no answer comes in time', async () => {
    const { watched } = makeOtherSide(() => new Promise(() => undefined));
    const reachability = watched({ everyMs: HOUR_MS, timeoutMs: 5 });
    await until(reachability, 'down');
    assert.match(String(reachability.check().reason), /no answer within 5 ms/);
  });

  it('is probed soon after a failed call, once for many calls', async () => {
    const { watched, next, probes } = makeOtherSide(async () => 'yes');
    const reachability = watched({ everyMs: HOUR_MS, soonMs: 20 });
    await until(reachability, 'up');
    const again = next();
    for (let call = 0; call < 100; call += 1) reachability.suspect();
    await again;
    assert.equal(probes(), 2);
  });

  it('is not probed after the close', async () => {
    let signal: AbortSignal | undefined;
    const { watched, probes } = makeOtherSide(async (given) => (signal = given));
    const reachability = watched({ everyMs: 1 });
    await until(reachability, 'up');
    reachability.close();
    assert.equal(signal?.aborted, true);
    const before = probes();
    reachability.suspect();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(probes() <= before + 1, 'a probe that was under way may end');
  });
});
