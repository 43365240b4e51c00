import assert from 'node:assert/strict';
import { parseResult } from '../../../src/contract/messages.ts';
import type { MethodName } from '../../../src/contract/methods.ts';
import type { Signer } from '../../../src/requests/authenticate.ts';
import type { NonceUse } from '../../../src/requests/nonce-use.ts';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import { getNamespaceMethod } from '../../../src/requests/methods/get-namespace-method.ts';
import { listNamespacesMethod } from '../../../src/requests/methods/list-namespaces-method.ts';
import { pingMethod } from '../../../src/requests/methods/ping-method.ts';
import type { ListedCounts, NamespaceCounts } from '../../../src/queues/namespace-counts.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { partial } from '../../support/partial.ts';
import { recordOf } from '../../support/records.ts';

/** For requests that must not ask for them. */
const noCounts: NamespaceCounts = () => Promise.reject(new Error('The counts were read.'));

const afterReply = (work: () => void): void => work();

const NOW = Date.parse('2026-11-24T12:00:00Z');
const context = {
  signer: undefined,
  userId: undefined,
  correlationId: 'c-1',
  signal: new AbortController().signal,
  afterReply,
};

/** A store with these namespaces: active, or tombstones where the name starts with `deleted`. */
function storeWith(...names: string[]) {
  const store = createMemoryStore();
  for (const namespace of names) {
    const state = namespace.startsWith('deleted') ? 'deleted' : 'active';
    store.put(recordOf(NOW, { namespace, state, deletedAtMs: NOW, contact: 'secret@example.com' }));
  }
  return store.namespaces;
}

function assertFits(method: MethodName, result: object): void {
  assert.deepEqual(parseResult(method, Buffer.from(JSON.stringify(result))), result);
}

describe('ping', () => {
  it('returns the agent and its uptime in whole seconds', async () => {
    const clock = createManualClock();
    const method = pingMethod({ id: 'pulse-agent', version: '1.2.3' }, clock);
    clock.advance(1999);
    clock.setWall(0);
    const result = await method({}, context);
    assert.deepEqual(result, { alive: true, uptimeSeconds: 1, version: '1.2.3', agent: 'pulse-agent' });
    assertFits('ping', result);
  });
});

describe('get-namespace', () => {
  it('says what the deletion waits for', async () => {
    const store = createMemoryStore();
    const deletionBlock = { queue: 'queue/taskcluster-x/a', node: 'rabbit@b' };
    store.put(recordOf(NOW, { state: 'expiring', deletionBlock }));
    const result = await getNamespaceMethod(store.namespaces, noCounts)({ namespace: 'taskcluster-x' }, context);
    assert.equal(result.blockedBy, 'its queue queue/taskcluster-x/a is on node rabbit@b, which is down');
    assertFits('get-namespace', result);
  });

  it('returns the public fields in every state of an incarnation', async () => {
    for (const state of ['provisioning', 'active', 'expiring'] as const) {
      const store = createMemoryStore();
      store.put(recordOf(NOW, { state, contact: 'secret@example.com' }));
      const result = await getNamespaceMethod(store.namespaces, noCounts)({ namespace: 'taskcluster-x' }, context);
      assert.deepEqual(result, {
        namespace: 'taskcluster-x',
        created: '2026-11-24T12:00:00.000Z',
        expires: '2026-11-24T16:00:00.000Z',
        state,
      });
      assertFits('get-namespace', result);
    }
  });

  it('refuses a deleted or unknown namespace', async () => {
    const method = getNamespaceMethod(storeWith('deleted-x'), noCounts);
    for (const namespace of ['deleted-x', 'taskcluster-y']) {
      await assert.rejects(method({ namespace }, context), {
        code: 'ResourceNotFound',
        message: `There is no namespace ${namespace}.`,
      });
    }
  });
});

describe('list-namespaces', () => {
  const names = ['b', 'a', 'deleted-a', 'C', 'deleted-z', 'd'];

  it('lists by name, without tombstones and contacts', async () => {
    const result = await listNamespacesMethod(storeWith(...names), noCounts)({ limit: 100 }, context);
    assert.deepEqual(
      result.namespaces.map(({ namespace }) => namespace),
      ['C', 'a', 'b', 'd'],
    );
    assert.doesNotMatch(JSON.stringify(result), /secret|contact/);
    assert.ok(!('continuationToken' in result));
    assertFits('list-namespaces', result);
  });

  it('returns pages that make up the whole for every page size, without an empty last one', async () => {
    const method = listNamespacesMethod(storeWith(...names), noCounts);
    for (let limit = 1; limit <= 5; limit += 1) {
      const seen: string[] = [];
      let continuationToken: string | undefined;
      do {
        const body = continuationToken === undefined ? { limit } : { limit, continuationToken };
        const page = await method(body, context);
        assertFits('list-namespaces', page);
        assert.ok(page.namespaces.length > 0 && page.namespaces.length <= limit);
        seen.push(...page.namespaces.map(({ namespace }) => namespace));
        ({ continuationToken } = page);
      } while (continuationToken !== undefined);
      assert.deepEqual(seen, ['C', 'a', 'b', 'd']);
    }
  });

  it('continues after the previous page even if its last namespace was deleted', async () => {
    const store = createMemoryStore();
    for (const namespace of ['a', 'b']) store.put(recordOf(NOW, { namespace }));
    const method = listNamespacesMethod(store.namespaces, noCounts);
    const { continuationToken = '' } = await method({ limit: 1 }, context);
    await store.namespaces.remove('a', 2);
    const { namespaces } = await method({ limit: 1, continuationToken }, context);
    assert.equal(namespaces[0]?.namespace, 'b');
  });

  it('is empty without namespaces', async () => {
    assert.deepEqual(await listNamespacesMethod(storeWith(), noCounts)({ limit: 1 }, context), { namespaces: [] });
  });

  it('refuses a token that it did not issue', async () => {
    const method = listNamespacesMethod(storeWith('a'), noCounts);
    for (const continuationToken of ['!', Buffer.from('a b').toString('base64url'), 'ü', '=']) {
      await assert.rejects(method({ limit: 1, continuationToken }, context), {
        code: 'InputError',
        details: { field: 'continuationToken' },
      });
    }
  });
});

describe('the details of a namespace', () => {
  const QUEUED = { queues: 3, messages: 120, uncountedQueues: 1, connections: 2 };
  const NOTHING = { queues: 0, messages: 0, uncountedQueues: 0, connections: 0 };
  const counts = (seenMs = NOW + 1): ListedCounts => ({
    seenMs,
    of: (namespace) => (namespace === 'taskcluster-x' ? QUEUED : NOTHING),
  });
  const signedBy = (...scopes: string[]) => ({ ...context, signer: { ...SIGNER, scopes } });
  const SIGNER: Signer = { clientId: 'a-client', scopes: [], nonce: partial<NonceUse>({}) };

  async function detailsFor(
    scopes: readonly string[],
    record: Partial<NamespaceRecord> = {},
    listed: ListedCounts | 'unknown' = counts(),
  ) {
    const store = createMemoryStore();
    store.put(recordOf(NOW, { contact: 'secret@example.com', ...record }));
    const method = getNamespaceMethod(store.namespaces, async () => (listed === 'unknown' ? undefined : listed));
    const result = await method({ namespace: 'taskcluster-x' }, signedBy(...scopes));
    assertFits('get-namespace', result);
    assert.doesNotMatch(JSON.stringify(result), /secret|contact/);
    return result.details;
  }

  it('are for a signer that may claim or describe it', async () => {
    const details = {
      holder: 'project/x',
      lastClaim: '2026-11-24T12:00:05.000Z',
      nextRotation: '2026-11-24T13:00:00.000Z',
      counts: { at: '2026-11-24T12:00:00.001Z', queues: 3, messages: 120, uncountedQueues: 1, connections: 2 },
    };
    const enough = [
      'pulse:describe:taskcluster-x',
      'pulse:describe:*',
      'pulse:namespace:taskcluster-x',
      'pulse:namespace:taskcluster-*',
      'pulse:*',
      'pul*',
      '*',
    ];
    for (const scope of enough)
      assert.deepEqual(await detailsFor(['other:scope', scope], { claimedMs: NOW + 5000 }), details, scope);
  });

  it('are not for any other signer, and none reads the counts for it', async () => {
    const others = ['pulse:describe:taskcluster-y', 'pulse:revoke:*', 'pulse:describe', 'queue:*', 'pulses*'];
    const store = createMemoryStore();
    store.put(recordOf(NOW));
    const get = getNamespaceMethod(store.namespaces, noCounts);
    const list = listNamespacesMethod(store.namespaces, noCounts);
    for (const signed of [context, signedBy(), ...others.map((scope) => signedBy(scope)), signedBy(...others)]) {
      assert.ok(!('details' in (await get({ namespace: 'taskcluster-x' }, signed))));
      const { namespaces } = await list({ limit: 10 }, signed);
      assert.ok(namespaces.every((view) => !('details' in view)));
    }
  });

  it('leave out what is unknown', async () => {
    const details = await detailsFor(['*'], {}, 'unknown');
    assert.deepEqual(details, { holder: 'project/x', nextRotation: '2026-11-24T13:00:00.000Z' });
    assert.equal((await detailsFor(['*'], { state: 'expiring' }))?.nextRotation, undefined);
  });

  it('have no counts from before the first claim', async () => {
    assert.equal((await detailsFor(['*'], {}, counts(NOW - 1)))?.counts, undefined);
    assert.equal((await detailsFor(['*'], {}, counts(NOW)))?.counts?.queues, 3);
  });

  it('are in a listing for each namespace that the signer may see, with the counts read once', async () => {
    const store = createMemoryStore();
    for (const namespace of ['taskcluster-w', 'taskcluster-x', 'taskcluster-y'])
      store.put(recordOf(NOW, { namespace }));
    let reads = 0;
    const method = listNamespacesMethod(store.namespaces, async () => {
      reads += 1;
      return counts();
    });
    const signer = signedBy('pulse:describe:taskcluster-x', 'pulse:namespace:taskcluster-y');
    const result = await method({ limit: 10 }, signer);
    assertFits('list-namespaces', result);
    assert.deepEqual(
      result.namespaces.map(({ details }) => details?.counts?.messages),
      [undefined, 120, 0],
    );
    assert.equal(reads, 1);
  });
});
