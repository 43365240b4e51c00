import assert from 'node:assert/strict';
import { createSnapshot, snapshotPauseMs } from '../../src/operator-api/snapshot.ts';
import { createManualClock } from '../support/manual-clock.ts';

function makeRoom() {
  const clock = createManualClock();
  const state = { reads: 0, failure: undefined as Error | undefined };
  const read = async (): Promise<number> => {
    state.reads += 1;
    if (state.failure !== undefined) throw state.failure;
    return state.reads;
  };
  const snapshot = createSnapshot(read, { pauseMs: () => 2_000, maxAgeMs: 60_000, clock });
  return { clock, state, snapshot };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a snapshot', () => {
  it('is read once for all that ask, and again in the background after its pause', async () => {
    const { clock, state, snapshot } = makeRoom();
    assert.deepEqual(await Promise.all([snapshot.get(), snapshot.get()]), [1, 1]);
    clock.advance(1_999);
    assert.equal(await snapshot.get(), 1);
    clock.advance(1);
    assert.equal(await snapshot.get(), 1);
    await settled();
    assert.equal(await snapshot.get(), 2);
    assert.equal(state.reads, 2);
  });

  it('is waited for when it is too old', async () => {
    const { clock, snapshot } = makeRoom();
    await snapshot.get();
    clock.advance(60_001);
    assert.equal(await snapshot.get(), 2);
  });

  it('is new for all that ask after a time without requests', async () => {
    const { clock, state, snapshot } = makeRoom();
    await snapshot.get();
    clock.advance(12_000);
    assert.deepEqual(await Promise.all([snapshot.get(), snapshot.get()]), [2, 2]);
    clock.advance(30_000);
    state.failure = new Error('By a test.');
    assert.equal(await snapshot.get(), 2);
  });

  it('is the old one after such a time when reading takes long', async () => {
    const clock = createManualClock();
    const reads = [Promise.resolve(1), new Promise<number>(() => undefined)];
    const read = () => reads.shift() ?? Promise.reject(new Error('It reads once at a time.'));
    const snapshot = createSnapshot(read, { pauseMs: () => 2_000, maxAgeMs: 60_000, clock });
    await snapshot.get();
    clock.advance(12_000);
    assert.equal(await snapshot.get(), 1);
    clock.advance(1_000);
    assert.equal(await Promise.race([snapshot.get(), settled().then(() => 'waits')]), 1);
  });

  it('stays while reading fails, until it is too old, and is not read without a pause', async () => {
    const { clock, state, snapshot } = makeRoom();
    await snapshot.get();
    state.failure = new Error('By a test.');
    clock.advance(2_000);
    assert.equal(await snapshot.get(), 1);
    await settled();
    assert.equal(await snapshot.get(), 1);
    assert.equal(state.reads, 2);
    clock.advance(60_000);
    await assert.rejects(snapshot.get(), /By a test/);
    state.failure = undefined;
    assert.equal(await snapshot.get(), 4);
  });

  it('is read again where it must not have begun before an instant', async () => {
    const { clock, state, snapshot } = makeRoom();
    await snapshot.get();
    const listedMs = clock.monotonicMs();
    assert.equal(await snapshot.since(listedMs), 1);
    clock.advance(2_000);
    // The background reads it, and began after the first instant.
    assert.equal(await snapshot.get(), 1);
    assert.equal(await snapshot.since(clock.monotonicMs()), 2);
    clock.advance(1);
    assert.equal(await snapshot.since(clock.monotonicMs()), 3);
    assert.equal(state.reads, 3);
  });

  it('is forgotten when no reader asks for it', async () => {
    const { clock, snapshot } = makeRoom();
    await snapshot.get();
    clock.advance(60_000);
    snapshot.releaseUnused();
    assert.equal(snapshot.latest, 1);
    clock.advance(1);
    snapshot.releaseUnused();
    assert.equal(snapshot.latest, undefined);
  });

  it('takes a twentieth of the time', () => {
    assert.deepEqual([0, 200, 10_000].map(snapshotPauseMs), [2_000, 4_000, 60_000]);
  });
});
