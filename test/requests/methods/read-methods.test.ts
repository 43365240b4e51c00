import assert from 'node:assert/strict';
import { parseResult } from '../../../src/contract/messages.ts';
import type { MethodName } from '../../../src/contract/methods.ts';
import { getNamespaceMethod } from '../../../src/requests/methods/get-namespace-method.ts';
import { listNamespacesMethod } from '../../../src/requests/methods/list-namespaces-method.ts';
import { pingMethod } from '../../../src/requests/methods/ping-method.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { recordOf } from '../../support/records.ts';

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
    const result = await getNamespaceMethod(store.namespaces)({ namespace: 'taskcluster-x' }, context);
    assert.equal(result.blockedBy, 'its queue queue/taskcluster-x/a is on node rabbit@b, which is down');
    assertFits('get-namespace', result);
  });

  it('returns the public fields in every state of an incarnation', async () => {
    for (const state of ['provisioning', 'active', 'expiring'] as const) {
      const store = createMemoryStore();
      store.put(recordOf(NOW, { state, contact: 'secret@example.com' }));
      const result = await getNamespaceMethod(store.namespaces)({ namespace: 'taskcluster-x' }, context);
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
    const method = getNamespaceMethod(storeWith('deleted-x'));
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
    const result = await listNamespacesMethod(storeWith(...names))({ limit: 100 }, context);
    assert.deepEqual(
      result.namespaces.map(({ namespace }) => namespace),
      ['C', 'a', 'b', 'd'],
    );
    assert.doesNotMatch(JSON.stringify(result), /secret|contact/);
    assert.ok(!('continuationToken' in result));
    assertFits('list-namespaces', result);
  });

  it('returns pages that make up the whole for every page size, without an empty last one', async () => {
    const method = listNamespacesMethod(storeWith(...names));
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
    const method = listNamespacesMethod(store.namespaces);
    const { continuationToken = '' } = await method({ limit: 1 }, context);
    await store.namespaces.remove('a', 2);
    const { namespaces } = await method({ limit: 1, continuationToken }, context);
    assert.equal(namespaces[0]?.namespace, 'b');
  });

  it('is empty without namespaces', async () => {
    assert.deepEqual(await listNamespacesMethod(storeWith())({ limit: 1 }, context), { namespaces: [] });
  });

  it('refuses a token that it did not issue', async () => {
    const method = listNamespacesMethod(storeWith('a'));
    for (const continuationToken of ['!', Buffer.from('a b').toString('base64url'), 'ü', '=']) {
      await assert.rejects(method({ limit: 1, continuationToken }, context), {
        code: 'InputError',
        details: { field: 'continuationToken' },
      });
    }
  });
});
