import assert from 'node:assert/strict';
import type { MethodHandlers } from '../../src/requests/method.ts';
import { answer, claim, type Given, namespace, node, result, signer } from '../support/answers.ts';
import type { DeliveryInput } from '../support/deliveries.ts';

describe('a requester whose node is down', () => {
  const release: DeliveryInput = { routingKey: 'release-namespace', content: { namespace } };
  const atFirst: Given = { locateReplyAddress: async () => ({ kind: 'down', node }), isRequesterGone: () => true };
  let isGone = false;
  let check = (): void => undefined;
  const go = (): void => {
    isGone = true;
    check();
  };
  const watched: Given = {
    isRequesterGone: (where) => isGone && where === node,
    onRequestersGone: (given) => (check = given),
  };
  const later: Given = {
    ...watched,
    authenticate: async () => {
      go();
      return signer;
    },
  };
  const served: string[] = [];
  const noting: Partial<MethodHandlers> = {
    'claim-namespace': async () => {
      served.push('claim');
      return result;
    },
    'release-namespace': async () => {
      served.push('release');
      return { namespace, state: 'expiring' };
    },
  };
  beforeEach(() => {
    isGone = false;
    served.length = 0;
  });

  for (const [when, given] of [
    ['before its request is served', atFirst],
    ['while its signature is checked', later],
  ] as const) {
    it(`asks again by itself for what can be repeated: it is not served when it goes ${when}`, async () => {
      const answered = await answer(claim, { ...given, handlers: noting });
      assert.deepEqual(answered.answer, { kind: 'requester-gone', reason: 'the node of its requester is down' });
      assert.equal(answered.outcome, 'requester-gone');
      assert.deepEqual(served, []);
    });

    it(`may not know about a release: it is served when it goes ${when}`, async () => {
      const answered = await answer(release, { ...given, handlers: noting });
      assert.equal(answered.answer.kind, 'reply');
      assert.equal(answered.outcome, 'result');
      assert.deepEqual(served, ['release']);
    });
  }

  it('has the work for it aborted', async () => {
    const aborted: unknown[] = [];
    const hanging: Partial<MethodHandlers> = {
      'claim-namespace': (_body, { signal }) => {
        signal.addEventListener('abort', () => aborted.push(signal.reason));
        setImmediate(go);
        return new Promise(() => undefined);
      },
    };
    const answered = await answer(claim, { ...watched, handlers: hanging });
    assert.equal(answered.answer.kind, 'requester-gone');
    assert.equal(aborted.length, 1);
    assert.deepEqual([answered.clientId, answered.namespace], [signer.clientId, namespace]);
  });
});
