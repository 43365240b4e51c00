import assert from 'node:assert/strict';
import { createClockBounds } from '../../../src/namespaces/clock-bounds.ts';
import { createRelease, decideRelease } from '../../../src/namespaces/deletion/release.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { recordOf } from '../../support/records.ts';

const HOUR = 3_600_000;
const intervals = { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 };
const never = new AbortController().signal;
const namespace = 'taskcluster-x';

async function setUp() {
  const clock = createManualClock();
  const store = createMemoryStore();
  const nonce = {
    key: 'key',
    replyAddress: 'address',
    correlationId: 'id',
    digest: 'digest',
    firstSeenMs: clock.nowMs(),
    acceptableUntilMs: clock.nowMs() + HOUR,
    outcome: null,
  };
  await store.nonces.remember(nonce);
  const release = createRelease({
    store: store.namespaces,
    nonces: store.nonces,
    bounds: createClockBounds(clock, intervals, () => undefined),
    intervals,
  });
  return { clock, store, nonce, release };
}

describe('a release', () => {
  it('begins the deletion of the present incarnation, once', async () => {
    const { clock, store, nonce, release } = await setUp();
    store.put(recordOf(clock.nowMs() - HOUR));
    const first = await release({ namespace, nonce }, never);
    assert.ok(first.changed && first.record?.state === 'expiring');
    assert.deepEqual(store.peek(namespace), first.record);
    const again = await release({ namespace, nonce: await store.nonces.remember(nonce) }, never);
    assert.deepEqual(again, { changed: false, record: first.record });
  });

  it('that is redelivered does not touch the next incarnation', async () => {
    const { clock, store, nonce, release } = await setUp();
    store.put(recordOf(clock.nowMs() - HOUR));
    await release({ namespace, nonce }, never);
    const next = recordOf(clock.nowMs() + HOUR, { incarnation: 'bmV4dA', revision: 9 });
    store.put(next);
    const redelivered = await store.nonces.remember(nonce);
    assert.notEqual(redelivered.outcome, null);
    assert.deepEqual(await release({ namespace, nonce: redelivered }, never), { changed: false, record: undefined });
    assert.deepEqual(store.peek(namespace), next);
  });

  it('whose agent died before it read the record does not touch what was claimed after it', async () => {
    const { clock, store, nonce, release } = await setUp();
    const next = recordOf(clock.nowMs() + HOUR);
    store.put(next);
    assert.deepEqual(await release({ namespace, nonce }, never), { changed: false, record: undefined });
    assert.deepEqual(store.peek(namespace), next);
  });

  it('of a namespace that does not exist is ResourceNotFound', async () => {
    const { clock, store, nonce, release } = await setUp();
    await assert.rejects(release({ namespace, nonce }, never), { code: 'ResourceNotFound' });
    store.put(recordOf(clock.nowMs(), { state: 'deleted', deletedAtMs: clock.nowMs() }));
    await assert.rejects(release({ namespace, nonce }, never), { code: 'ResourceNotFound' });
  });

  it('of an expiring namespace continues its deletion', () => {
    assert.equal(decideRelease(recordOf(0, { state: 'expiring' }), undefined), 'go-on');
    assert.equal(decideRelease(recordOf(0, { state: 'expiring' }), { incarnation: 'other' }), 'over');
  });
});
