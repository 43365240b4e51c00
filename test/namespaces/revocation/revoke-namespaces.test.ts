import assert from 'node:assert/strict';
import { createRevokeDirectly } from '../../../src/namespaces/revocation/revoke-namespaces.ts';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import type { ListOptions } from '../../../src/store/store.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { recordOf } from '../../support/records.ts';

const NAMES = Array.from({ length: 3000 }, (_, n) => `taskcluster-${String(n).padStart(4, '0')}`);

/** Thousands of namespaces, and which of them were revoked. */
function make(fails: (namespace: string) => boolean = () => false) {
  const revoked: string[] = [];
  const records: NamespaceRecord[] = NAMES.map((namespace) => recordOf(1, { namespace }));
  const direct = createRevokeDirectly({
    store: {
      list: async ({ after = '', limit }: ListOptions) =>
        await Promise.resolve(records.filter(({ namespace }) => namespace > after).slice(0, limit)),
    },
    revoker: {
      async revoke({ namespace }) {
        await Promise.resolve();
        if (fails(namespace)) throw new Error(`no ${namespace}`);
        revoked.push(namespace);
        return { changed: true, refusedUntilMs: undefined };
      },
    },
    clock: createManualClock(),
    concurrency: 32,
  });
  const failed: string[] = [];
  let doneUpTo: string | undefined;
  const options = {
    untilMs: undefined,
    onProgress: (lastName: string) => (doneUpTo = lastName),
    onRevoked: () => undefined,
    onFailed: (namespace: string) => void failed.push(namespace),
  };
  return { direct, options, revoked, failed, doneUpTo: () => doneUpTo };
}

const never = new AbortController().signal;

describe('the revocation of all namespaces', () => {
  it('revokes each of thousands once', async () => {
    const { direct, options, revoked } = make();
    assert.equal(await direct.all(options, never), NAMES.length);
    assert.deepEqual(revoked.toSorted(), NAMES);
  });

  it('reports one that fails and continues', async () => {
    const { direct, options, revoked, failed } = make((namespace) => namespace.endsWith('77'));
    assert.equal(await direct.all(options, never), NAMES.length - failed.length);
    assert.equal(failed.length, 30);
    assert.equal(revoked.length, NAMES.length - 30);
  });

  it('stops when every revocation fails', async () => {
    const { direct, options, failed } = make(() => true);
    await assert.rejects(direct.all(options, never), /no taskcluster-/);
    assert.ok(failed.length < 200);
  });

  it('is resumed after the last name that it reported, and skips none', async () => {
    const breaking = new AbortController();
    const { direct, options, revoked, doneUpTo } = make((namespace) => {
      if (namespace.endsWith('1000')) breaking.abort(new Error('broken off'));
      return false;
    });
    await assert.rejects(direct.all(options, breaking.signal), /broken off/);
    const done = doneUpTo() ?? '';
    assert.ok(done !== '' && NAMES.every((name) => name > done || revoked.includes(name)));
    await direct.all({ ...options, after: done }, never);
    assert.deepEqual([...new Set(revoked)].toSorted(), NAMES);
  });
});
