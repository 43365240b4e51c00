import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { NamespaceContext } from '../../../src/namespaces/namespace-context.ts';
import { markerNames } from '../../../src/broker/marker.ts';
import { storeTag } from '../../../src/broker/store-tag.ts';
import { createFirstClaimCheck } from '../../../src/namespaces/claim/check-first-claim.ts';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import { recordOf } from '../../support/records.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { partial } from '../../support/partial.ts';
import { createScriptedManagement } from '../../support/scripted-management.ts';

const never = new AbortController().signal;
const config = {
  id: 'pulse-agent',
  requestVhost: 'pulse-agent',
  vhost: '/',
  usernamePrefix: '',
  namespacePrefix: 'taskcluster-',
};

function setUp() {
  const clock = createManualClock();
  const scripted = createScriptedManagement();
  const refused: string[] = [];
  let listings = 0;
  const { management } = scripted;
  const check = createFirstClaimCheck({
    config: partial<NamespaceContext['config']>(config),
    management: partial<NamespaceContext['management']>({
      ...management,
      async listQueueNames(...args) {
        listings += 1;
        return await management.listQueueNames(...args);
      },
    }),
    clock,
    storeId: 'ours',
    reporters: partial<NamespaceContext['reporters']>({
      namespaceRefused: ({ namespace, clientId, reason, subject }) =>
        void refused.push([namespace, clientId, reason, subject].join(' ')),
    }),
  });
  const claim = async (namespace = 'taskcluster-x', signal = never, tombstone?: NamespaceRecord): Promise<string> => {
    const input = { namespace, expiresMs: undefined, contact: undefined, claimedBy: 'client' };
    return await check(input, tombstone, signal).then(
      () => 'allowed',
      (error: { code?: string; name: string }) => error.code ?? error.name,
    );
  };
  const putUser = (name: string, tags: readonly string[]): void => {
    scripted.users.set(name, 'hash');
    scripted.tags.set(name, tags);
  };
  return { clock, scripted, refused, claim, putUser, listings: () => listings };
}

describe('createFirstClaimCheck', () => {
  it('writes nothing, and finds a user in either place', async () => {
    for (const slot of [1, 2]) {
      const { scripted, claim, putUser } = setUp();
      putUser(`taskcluster-x-${slot}`, ['administrator']);
      assert.equal(await claim(), 'RequestConflict');
      assert.deepEqual(scripted.calls, []);
    }
  });

  it('lists queues and exchanges once for all first claims of five seconds', async () => {
    const { clock, scripted, claim, listings } = setUp();
    scripted.objects.add('exchange/taskcluster-theirs/v1');
    const outcomes = await Promise.all([claim(), claim('taskcluster-theirs'), claim('taskcluster-thei')]);
    assert.deepEqual(outcomes, ['allowed', 'RequestConflict', 'allowed']);
    clock.advance(2_499);
    assert.equal(await claim('taskcluster-y'), 'allowed');
    assert.equal(listings(), 1);
    scripted.objects.add('queue/taskcluster-y/q');
    clock.advance(2_501);
    assert.equal(await claim('taskcluster-y'), 'RequestConflict');
    assert.equal(listings(), 2);
  });

  it('waits for no listing while first claims keep coming', async () => {
    const { clock, scripted, claim, listings } = setUp();
    assert.equal(await claim(), 'allowed');
    scripted.objects.add('queue/taskcluster-y/q');
    let answer: () => void = () => undefined;
    scripted.onList = async () => await new Promise<void>((resolve) => (answer = resolve));
    clock.advance(4_999);
    assert.equal(await claim('taskcluster-y'), 'allowed');
    assert.equal(await claim('taskcluster-y'), 'allowed');
    assert.equal(listings(), 2);
    answer();
    await setImmediate();
    assert.equal(await claim('taskcluster-y'), 'RequestConflict');
    assert.equal(listings(), 2);
  });

  it('shares a listing that takes long for longer, up to a minute', async () => {
    for (const [tookMs, keptMs] of [
      [1_000, 20_000],
      [10_000, 60_000],
    ] as const) {
      const { clock, scripted, claim, listings } = setUp();
      scripted.onList = async () => clock.advance(tookMs);
      assert.equal(await claim(), 'allowed');
      scripted.onList = async () => undefined;
      clock.advance(keptMs / 2 - tookMs - 1);
      assert.equal(await claim(), 'allowed');
      assert.equal(listings(), 1);
      scripted.objects.add('queue/taskcluster-x/q');
      clock.advance(keptMs / 2 + 1);
      assert.equal(await claim(), 'RequestConflict');
      assert.equal(listings(), 2);
    }
  });

  it('lists again before it refuses the name of a deleted namespace', async () => {
    const { scripted, claim, listings } = setUp();
    const tombstone = recordOf(0, { state: 'deleted', deletedAtMs: 0 });
    scripted.objects.add('queue/taskcluster-x/q');
    assert.equal(await claim('taskcluster-x', never, tombstone), 'RequestConflict');
    assert.equal(listings(), 2);
    scripted.objects.clear();
    assert.equal(await claim('taskcluster-x', never, tombstone), 'allowed');
    assert.equal(listings(), 3);
  });

  it('reports a refused name once, until the reason changes', async () => {
    const { clock, scripted, refused, claim, putUser } = setUp();
    scripted.objects.add('queue/taskcluster-x/q');
    for (let claims = 0; claims < 3; claims += 1) await claim();
    assert.deepEqual(refused, ['taskcluster-x client objects queue/taskcluster-x/q']);
    putUser('taskcluster-x-1', []);
    for (let claims = 0; claims < 3; claims += 1) await claim();
    assert.deepEqual(refused.splice(0).slice(1), ['taskcluster-x client account taskcluster-x-1']);
    scripted.users.clear();
    scripted.objects.clear();
    clock.advance(5_000);
    assert.equal(await claim(), 'allowed');
    putUser('taskcluster-x-1', []);
    await claim();
    assert.deepEqual(refused, ['taskcluster-x client account taskcluster-x-1']);
  });

  it('takes the accounts of a store that this one replaced, and no other', async () => {
    const { scripted, claim, putUser } = setUp();
    putUser('taskcluster-x-1', [storeTag('former')]);
    assert.equal(await claim(), 'RequestConflict');
    scripted.parameters.set(markerNames(config)[0] ?? '', {
      storeId: 'ours',
      id: 'pulse-agent',
      since: 'then',
      formerStoreIds: ['former'],
    });
    assert.equal(await claim(), 'allowed');
    putUser('taskcluster-x-2', [storeTag('other')]);
    assert.equal(await claim(), 'RequestConflict');
  });

  it('stops waiting for the listing with its claim, and keeps it for the others', async () => {
    const { scripted, claim, listings } = setUp();
    let answer: () => void = () => undefined;
    scripted.onList = async () => await new Promise<void>((resolve) => (answer = resolve));
    const stopped = new AbortController();
    const first = claim('taskcluster-x', stopped.signal);
    const second = claim('taskcluster-y');
    stopped.abort(new Error('stopped'));
    assert.equal(await first, 'Error');
    answer();
    assert.equal(await second, 'allowed');
    assert.equal(listings(), 1);
  });

  it('tries the listing again after it failed', async () => {
    const { scripted, claim, listings } = setUp();
    scripted.onList = () => Promise.reject(new Error('down'));
    assert.equal(await claim(), 'Error');
    scripted.onList = async () => undefined;
    assert.equal(await claim(), 'allowed');
    assert.equal(listings(), 2);
  });
});
