import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { PulseAgentClient } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/client-options.ts';
import {
  AuthenticationFailed,
  InputError,
  InsufficientScopes,
  PulseAgentError,
  RequestConflict,
  toClientError,
  Unavailable,
} from '../../src/client/client-errors.ts';
import { WireError } from '../../src/contract/wire-errors.ts';
import { addCleanup } from '../support/cleanup.ts';

/** It is in no stack: the path of the working copy may hold any word. */
const PASSWORD = 'the-password-of-a-url';

/** A call that gets so far needs a connection. */
const connection = (): never => assert.fail('It connects.');

describe('what callers give to PulseAgentClient', () => {
  const CREDENTIALS = { clientId: 'team/service', accessToken: 'not-a-real-token' };

  function makeClient(options: Partial<ClientOptions> = {}): PulseAgentClient {
    const client = new PulseAgentClient({ connection, credentials: CREDENTIALS, ...options });
    addCleanup(() => client.close());
    return client;
  }

  const invalidOptions: readonly (readonly [string, ClientOptions, string])[] = [
    ['an empty url', { url: '' }, 'url'],
    ['a url of another protocol', { url: 'http://127.0.0.1' }, 'url'],
    ['a url whose password has a % that is no escape', { url: `amqp://u:${PASSWORD}%zz@h` }, 'url'],
    ['neither a url nor a connection', {}, 'url'],
    ['both a url and a connection', { url: 'amqp://x', connection }, 'url'],
    ['an empty id', { connection, id: '' }, 'id'],
    ['an empty audience', { connection, audience: '' }, 'audience'],
    ['an id that no agent has', { connection, id: 'Pulse Agent' }, 'id'],
    ['an audience that is a URL', { connection, audience: 'https://pulse.example.com' }, 'audience'],
    ['an empty vhost', { connection, requestVhost: '' }, 'requestVhost'],
    ['a timeout that is no number', { connection, timeoutMs: Number.NaN }, 'timeoutMs'],
    ['a timeout that is text', { connection, timeoutMs: '5' as unknown as number }, 'timeoutMs'],
  ];
  for (const [what, options, field] of invalidOptions) {
    it(`${what} is an InputError when the client is made`, () => {
      assert.throws(
        () => new PulseAgentClient(options),
        (error) => {
          assert.ok(error instanceof InputError && error instanceof PulseAgentError);
          assert.equal(error.details.field, field);
          assert.ok(!inspect(error).includes(PASSWORD));
          return true;
        },
      );
    });
  }

  it('a longer timeout than a timer has is the longest one', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await assert.rejects(makeClient().ping({ timeoutMs: Number.POSITIVE_INFINITY, signal }), /enough/);
  });

  for (const [what, credentials] of [
    ['no credentials', undefined],
    ['an empty access token', { ...CREDENTIALS, accessToken: '' }],
    ['an empty clientId', async () => ({ ...CREDENTIALS, clientId: '' })],
  ] as const) {
    it(`${what} is AuthenticationFailed, without a connection`, async () => {
      const client = new PulseAgentClient({ connection, ...(credentials && { credentials }) });
      await assert.rejects(client.claimNamespace({ namespace: 'taskcluster-x' }), (error) => {
        assert.ok(error instanceof AuthenticationFailed && !error.retryable, inspect(error));
        assert.match(error.message, /clientId and accessToken must not be empty/);
        return true;
      });
    });
  }

  it('a function for credentials that throws is Unavailable with the cause, and called once', async () => {
    const cause = new Error('the vault is sealed');
    let calls = 0;
    const credentials = (): never => {
      calls += 1;
      throw cause;
    };
    await assert.rejects(makeClient({ credentials }).claimNamespace({ namespace: 'taskcluster-x' }), (error) => {
      assert.ok(error instanceof Unavailable && error.retryable && !error.mayHaveActed, inspect(error));
      assert.equal(error.cause, cause);
      assert.match(error.message, /^The function for credentials failed: the vault is sealed\.$/);
      return true;
    });
    assert.equal(calls, 1);
  });

  it('a function for credentials that never returns ends with the time of the call', async () => {
    const client = makeClient({ credentials: () => new Promise<never>(() => undefined) });
    await assert.rejects(client.releaseNamespace('taskcluster-x', { timeoutMs: 50 }), {
      name: 'Unavailable',
      message: 'The function for credentials did not return in time.',
    });
  });

  it('an invalid date is an InputError that names the field', async () => {
    const client = makeClient();
    const invalid = new Date('tomorrow');
    const namespace = 'taskcluster-x';
    const number = Date.now() as unknown as Date;
    const failing = (): never => {
      throw new Error('no calendar');
    };
    const calls: readonly (readonly [() => Promise<unknown>, string, RegExp])[] = [
      [() => client.claimNamespace({ namespace, expires: invalid }), 'expires', /must be a valid Date/],
      [() => client.claimNamespace({ namespace, expires: number }), 'expires', /must be a valid Date/],
      [() => client.lease({ namespace, expires: () => invalid }), 'expires', /must be a valid Date/],
      [
        () => client.lease({ namespace, expires: failing }),
        'expires',
        /^The function for expires failed: no calendar\.$/,
      ],
      [() => client.revokeNamespace(namespace, { until: invalid }), 'until', /must be a valid Date/],
    ];
    for (const [call, field, message] of calls) {
      await assert.rejects(call(), (error) => {
        assert.ok(error instanceof InputError, inspect(error));
        assert.equal(error.details.field, field);
        assert.match(error.message, message);
        return true;
      });
    }
  });
});

describe('the details of an error', () => {
  it('have types', () => {
    const scopes = toClientError(new WireError('InsufficientScopes', 'No.', { details: { required: 'a:b' } }), 0);
    assert.ok(scopes instanceof InsufficientScopes);
    const required: string | undefined = scopes.details.required;
    assert.equal(required, 'a:b');
    const conflict = toClientError(new WireError('RequestConflict', 'No.', { details: { held: 3, limit: 3 } }), 0);
    assert.ok(conflict instanceof RequestConflict);
    const limit: number | undefined = conflict.details.limit;
    assert.equal(limit, 3);
  });

  it('of another type than the contract has are left out, and unknown ones kept', () => {
    const details = { required: 7, clientId: 'team/service', more: [1] };
    const error = toClientError(new WireError('InsufficientScopes', 'No.', { details }), 0) as InsufficientScopes;
    assert.deepEqual(error.details, { clientId: 'team/service', more: [1] });
  });
});
