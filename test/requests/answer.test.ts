import assert from 'node:assert/strict';
import { generateReplyKey } from '../../src/contract/sealing.ts';
import { WireError } from '../../src/contract/wire-errors.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { startDeadline } from '../../src/util/deadline.ts';
import type { AnswerParts } from '../../src/requests/answer.ts';
import type { MethodHandlers } from '../../src/requests/method.ts';
import type { NonceUse } from '../../src/requests/nonce-use.ts';
import {
  answer,
  claim,
  errorIn,
  fails,
  type Given,
  handlers,
  hang,
  namespace,
  node,
  reasonOf,
  result,
  signer,
  unused,
} from '../support/answers.ts';
import { DIRECT_ADDRESS, type DeliveryInput } from '../support/deliveries.ts';
import { storedNonceUse } from '../support/nonces.ts';

describe('answer', () => {
  it('returns the result for the reply address', async () => {
    const { answer: what, outcome, method, cause } = await answer();
    assert.deepEqual(what, {
      kind: 'reply',
      address: DIRECT_ADDRESS,
      node,
      reply: {
        properties: { correlationId: 'c-1', type: 'result', contentType: 'application/json' },
        content: Buffer.from('{"alive":true,"uptimeSeconds":1,"version":"1","agent":"a"}'),
      },
    });
    assert.deepEqual([outcome, method, cause], ['result', 'ping', undefined]);
  });

  it('drops a request from another exchange before anything else', async () => {
    for (const exchange of ['', 'exchange/taskcluster-y/e', 'rpc/pulse-agent/v1/dead']) {
      const answered = await answer({ exchange }, { locateReplyAddress: unused, authenticate: unused });
      assert.equal(answered.answer.kind, 'drop');
      assert.equal(answered.outcome, 'dropped');
    }
  });

  it('drops what RabbitMQ dead-lettered into the request exchange, before anything else', async () => {
    const death = { count: 1n, reason: 'expired', queue: `queue/${namespace}/s`, exchange: '', 'routing-keys': ['x'] };
    const headers: Record<string, unknown> = { 'x-death': [death] };
    const parts = { locateReplyAddress: unused, authenticate: unused };
    const answered = await answer({ properties: { headers } }, parts);
    assert.equal(answered.answer.kind, 'drop');
    assert.match(answered.answer.reason, /dead-lettered/);
    assert.equal(answered.outcome, 'dropped');
  });

  it('serves what has an x-death header that RabbitMQ cannot have made', async () => {
    for (const death of [
      'boom',
      7,
      null,
      [],
      [null],
      ['expired'],
      [{ queue: 'q' }],
      { queue: 'q', reason: 'expired' },
    ]) {
      const headers: Record<string, unknown> = { 'x-death': death };
      const { outcome } = await answer({ properties: { headers } });
      assert.equal(outcome, 'result', JSON.stringify(death));
    }
  });

  describe('without an allowed reply address', () => {
    it('dead-letters the request without a call to Taskcluster', async () => {
      for (const replyTo of [undefined, 'amq.gen-x', 'exchange/taskcluster-x/e', `queue/${namespace}/replies`]) {
        const answered = await answer(
          { ...claim, properties: { replyTo } },
          {
            authenticate: unused,
            handlers: { 'claim-namespace': unused },
          },
        );
        assert.match(reasonOf(answered), /reply_to/);
        assert.equal(answered.outcome, 'dead-lettered');
      }
    });

    it('dead-letters a forged direct reply-to address', async () => {
      const answered = await answer(claim, {
        locateReplyAddress: async () => ({ kind: 'unknown' }),
        authenticate: unused,
      });
      assert.match(reasonOf(answered), /no running node wrote/);
    });

    it('dead-letters an address that cannot be checked in time', async () => {
      const failure = new AgentError('BrokerUnavailable', 'down');
      const failed = await answer(claim, { locateReplyAddress: () => Promise.reject(failure), authenticate: unused });
      assert.match(reasonOf(failed), /could not be checked/);
      assert.equal(failed.cause, failure);
      const hanging = await answer(claim, { locateReplyAddress: hang, authenticate: unused }, startDeadline(1));
      assert.match(reasonOf(hanging), /could not be checked/);
    });
  });

  describe('an unauthorised request', () => {
    it('gets an error for a signed method without a signature', async () => {
      const authenticate = fails('AuthenticationFailed');
      const answered = await answer(claim, { authenticate });
      assert.equal(errorIn(answered).code, 'AuthenticationFailed');
      assert.equal(answered.clientId, undefined);
    });

    it('gets the missing scope and the client in the error', async () => {
      for (const scopes of [
        [],
        ['pulse:namespace:taskcluster-'],
        ['pulse:namespace:taskcluster-xy'],
        ['pulse:revoke:*'],
      ]) {
        const answered = await answer(claim, { authenticate: async () => ({ ...signer, scopes }) });
        const { code, details, retryable } = errorIn(answered);
        assert.equal(code, 'InsufficientScopes');
        assert.equal(retryable, false);
        assert.deepEqual(details, { required: 'pulse:namespace:taskcluster-x', clientId: 'project/x' });
        assert.equal(answered.clientId, 'project/x');
      }
    });

    it('is authorised by a scope with a star', async () => {
      for (const scopes of [['pulse:namespace:taskcluster-*'], ['*']]) {
        assert.equal((await answer(claim, { authenticate: async () => ({ ...signer, scopes }) })).outcome, 'result');
      }
    });

    it('has its signature checked even if none is needed', async () => {
      const authenticate = fails('AuthenticationFailed');
      for (const authorization of ['Hawk', '', null, 7]) {
        const answered = await answer({ properties: { headers: { authorization } } }, { authenticate });
        assert.equal(errorIn(answered).code, 'AuthenticationFailed');
      }
      assert.equal((await answer({}, { authenticate })).outcome, 'result');
    });

    it('is authenticated with the reply address as delivered', async () => {
      const seen: string[] = [];
      await answer(claim, {
        authenticate: async (request) => {
          seen.push(request.replyTo);
          return signer;
        },
      });
      assert.deepEqual(seen, [DIRECT_ADDRESS]);
    });
  });

  it('refuses a namespace without the prefix before it calls Taskcluster', async () => {
    const answered = await answer({ ...claim, content: { namespace: 'other-x' } }, { authenticate: unused });
    assert.deepEqual(errorIn(answered), {
      code: 'InputError',
      message: 'The field namespace must begin with taskcluster-.',
      retryable: false,
      details: { field: 'namespace' },
    });
  });

  it('is an error with the known methods for an unknown one', async () => {
    const { details } = errorIn(await answer({ routingKey: 'pong' }));
    assert.deepEqual(details, { field: 'method', methods: Object.keys(handlers) });
  });

  it('returns an invalid correlation id as far as it is text', async () => {
    for (const [correlationId, sent] of [
      ['with spaces', 'with spaces'],
      [undefined, ''],
    ] as const) {
      const answered = await answer({ properties: { correlationId } });
      assert.equal(errorIn(answered).code, 'InputError');
      assert.equal(answered.answer.kind === 'reply' && answered.answer.reply.properties.correlationId, sent);
    }
  });

  it('is Unavailable at the deadline, whichever part hangs', async () => {
    for (const given of [{ authenticate: hang }, { handlers: { 'claim-namespace': hang } }]) {
      const answered = await answer(claim, given, startDeadline(1));
      const { code, retryable } = errorIn(answered);
      assert.deepEqual([code, retryable], ['Unavailable', true]);
    }
  });

  it('logs the cause of an internal failure and hides it from the client', async () => {
    const failure = new AgentError('StoreUnavailable', 'mongodb://hidden');
    const handler = (): Promise<never> => Promise.reject(failure);
    const answered = await answer(claim, { handlers: { 'claim-namespace': handler } });
    assert.equal(errorIn(answered).code, 'Unavailable');
    assert.doesNotMatch(JSON.stringify(errorIn(answered)), /hidden/);
    assert.equal(answered.cause, failure);
    assert.equal(answered.outcome, 'Unavailable');
    assert.equal((await answer({ routingKey: 'pong' })).cause, undefined);
  });

  describe('with a nonce that is not stored yet', () => {
    let ended = 0;
    beforeEach(() => void (ended = 0));
    const unstored = (remember: () => Promise<void>): Partial<AnswerParts> => {
      let isStored = false;
      const nonce: NonceUse = {
        ...storedNonceUse(),
        get isStored() {
          return isStored;
        },
        remember: async () => {
          await remember();
          isStored = true;
        },
        end: () => void (ended += 1),
      };
      return { authenticate: async () => ({ ...signer, nonce }) };
    };

    const tooMany = (): never => {
      throw new WireError('Unavailable', 'Too many.');
    };

    it('stores it before any answer leaves', async () => {
      const refusals: [outcome: string, given: Given, input?: DeliveryInput][] = [
        ['result', {}],
        ['RequestConflict', { handlers: { 'claim-namespace': fails('RequestConflict') } }],
        ['InsufficientScopes', {}, { ...claim, content: { namespace: 'taskcluster-of-others' } }],
        ['Unavailable', { limitRequests: tooMany }],
      ];
      for (const [outcome, given, input = claim] of refusals) {
        let stored = 0;
        const answered = await answer(input, { ...given, ...unstored(async () => void (stored += 1)) });
        assert.deepEqual([answered.outcome, stored, ended], [outcome, 1, 1]);
        ended = 0;
      }
    });

    it('answers as a replay if another request used it meanwhile', async () => {
      for (const handler of [async () => result, fails('RequestConflict')]) {
        const answered = await answer(claim, {
          ...unstored(fails('ReplayDetected')),
          handlers: { 'claim-namespace': handler },
        });
        assert.equal(answered.outcome, 'ReplayDetected');
      }
    });

    it('stores it at the deadline, or is Unavailable soon after when that hangs, too', async () => {
      const hanging = async (): Promise<never> => await new Promise<never>(() => undefined);
      let stored = 0;
      for (const remember of [async () => void (stored += 1), hanging]) {
        const given = { ...unstored(remember), handlers: { 'claim-namespace': hanging } };
        const answered = await answer(claim, given, startDeadline(20));
        assert.equal(answered.outcome, 'Unavailable');
      }
      assert.equal(stored, 1);
    });
  });

  describe('with a replyKey', () => {
    it('seals the result for that key', async () => {
      const { publicKey, open } = generateReplyKey();
      const { answer: what } = await answer({ ...claim, content: { namespace, replyKey: publicKey } });
      assert.equal(what.kind, 'reply');
      assert.equal(what.reply.properties.contentType, 'application/jose');
      assert.equal(what.reply.properties.type, 'result');
      const jwe = what.reply.content.toString();
      assert.doesNotMatch(jwe, /hidden/);
      assert.deepEqual(JSON.parse(Buffer.from(open(jwe)).toString()), result);
    });

    it('leaves errors plain', async () => {
      const { publicKey } = generateReplyKey();
      const failing = { 'claim-namespace': fails('RequestConflict') };
      const answered = await answer({ ...claim, content: { namespace, replyKey: publicKey } }, { handlers: failing });
      assert.equal(errorIn(answered).code, 'RequestConflict');
    });
  });

  it('passes the signer and the deadline to the handler, and the namespace to the log', async () => {
    const deadline = startDeadline(10_000);
    const done: string[] = [];
    const handler: MethodHandlers['claim-namespace'] = async (_body, context) => {
      const { afterReply, ...rest } = context;
      assert.deepEqual(rest, { signer, userId: undefined, correlationId: 'c-1', signal: deadline.signal });
      afterReply(() => done.push('after'));
      return result;
    };
    const { clientId, afterReply, ...summary } = await answer(
      claim,
      { handlers: { 'claim-namespace': handler } },
      deadline,
    );
    assert.equal(clientId, 'project/x');
    assert.deepEqual(done, [], 'what is to come after the reply must not come before it');
    for (const work of afterReply) work();
    assert.deepEqual(done, ['after']);
    assert.equal(summary.namespace, namespace);
    assert.equal(summary.outcome, 'result');
  });
});
