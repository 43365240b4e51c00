import assert from 'node:assert/strict';
import type { BrokerUser } from '../../../src/broker/management/management.ts';
import { storeTag } from '../../../src/broker/store-tag.ts';
import { decideFirstClaim, type FoundUnderName } from '../../../src/namespaces/claim/decide-first-claim.ts';

const OURS = new Set(['ours', 'replaced']);

function user(...tags: string[]): BrokerUser {
  return { name: 'taskcluster-x-1', passwordHash: 'hash', hashingAlgorithm: 'sha256', tags };
}

function decide(given: Partial<FoundUnderName>) {
  const found = { namespace: 'taskcluster-x', users: [], object: undefined, hasTombstone: false, ...given };
  const refusal = decideFirstClaim(found, OURS);
  return refusal === undefined ? 'allowed' : `${refusal.reason}${refusal.retryable ? ', retryable' : ''}`;
}

describe('decideFirstClaim', () => {
  const object = 'queue/taskcluster-x/q';

  it('allows a name under which there is nothing', () => {
    assert.equal(decide({}), 'allowed');
    assert.equal(decide({ hasTombstone: true }), 'allowed');
  });

  it('refuses a user without the tag of one of its stores, whatever else there is', () => {
    for (const tags of [[], ['administrator'], ['management', 'monitoring'], [storeTag('other')], ['pulse-agent-']]) {
      assert.equal(decide({ users: [user(...tags)] }), 'account');
      assert.equal(decide({ users: [user(storeTag('ours')), user(...tags)], object }), 'account');
      assert.equal(decide({ users: [user(...tags)], hasTombstone: true }), 'account');
    }
  });

  it('allows users of its stores, also with queues and exchanges and with another tag', () => {
    for (const store of OURS) {
      assert.equal(decide({ users: [user(storeTag(store))] }), 'allowed');
      assert.equal(decide({ users: [user(storeTag(store), 'administrator')], object }), 'allowed');
    }
  });

  it('refuses queues and exchanges without an account; those of a deleted namespace go soon', () => {
    assert.equal(decide({ object }), 'objects');
    assert.equal(decide({ object, hasTombstone: true }), 'objects, retryable');
  });

  it('tells the client what an operator has to do', () => {
    const found = { namespace: 'taskcluster-x', hasTombstone: false };
    assert.match(
      decideFirstClaim({ ...found, users: [user()], object: undefined }, OURS)?.message ?? '',
      /taskcluster-x-1 .* operator to rename or delete/,
    );
    assert.match(
      decideFirstClaim({ ...found, users: [], object }, OURS)?.message ?? '',
      /operator to run "pulse-agent adopt taskcluster-x"/,
    );
  });
});
