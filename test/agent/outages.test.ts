import assert from 'node:assert/strict';
import type { Management } from '../../src/broker/management/management.ts';
import { Unavailable } from '../../src/client/client-errors.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import type { Store } from '../../src/store/store.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import type { RawReply } from '../support/requester.ts';

/** The contract's limit for an answer, in ms. */
const PROMISE_MS = 10_000;

function unavailable({ json }: RawReply): void {
  assert.equal(json['code'], 'Unavailable', JSON.stringify(json));
  assert.equal(json['retryable'], true);
}

function unreachable(): Promise<never> {
  return Promise.reject(new AgentError('BrokerUnavailable', 'Made unreachable by a test.'));
}

describe('an auth service in trouble', () => {
  const installation = useInstallation();

  afterEach(async () => {
    await installation().taskcluster.acceptConnections();
    installation().taskcluster.behave({ mode: 'normal' });
  });

  const claim = async (): Promise<RawReply> => {
    const requester = await installation().requester();
    const credentials = installation().taskcluster.credentials(TEAM);
    return await requester.request({ method: 'claim-namespace', body: { namespace: teamNamespace() }, credentials });
  };

  const troubles: readonly (readonly [string, () => unknown])[] = [
    ['is down', () => installation().taskcluster.refuseConnections()],
    ['cuts connections', () => installation().taskcluster.behave({ mode: 'cutting' })],
    ['answers 500', () => installation().taskcluster.behave({ mode: 'failing' })],
    ['answers 404', () => installation().taskcluster.behave({ mode: 'failing', status: 404 })],
    ['answers with an unknown status', () => installation().taskcluster.behave({ mode: 'wrong' })],
    [
      'answers with a web page',
      () => installation().taskcluster.behave({ mode: 'wrong', contentType: 'text/html', body: '<p>Sign in</p>' }),
    ],
    [
      'authenticates without a client id',
      () => installation().taskcluster.behave({ mode: 'wrong', body: '{"status":"auth-success","scopes":["*"]}' }),
    ],
    ['hangs', () => installation().taskcluster.behave({ mode: 'hanging' })],
  ];
  for (const [what, trouble] of troubles) {
    it(`that ${what}: claims are Unavailable in time, other requests are answered, and later claims succeed`, async () => {
      await trouble();
      const startedMs = performance.now();
      const rpc = await installation().rpc();
      const [claims] = await Promise.all([
        Promise.all([claim(), claim(), claim()]),
        rpc.request('ping', {}),
        rpc.request('list-namespaces', {}),
      ]);
      for (const reply of claims) unavailable(reply);
      assert.ok(performance.now() - startedMs < PROMISE_MS);

      await installation().taskcluster.acceptConnections();
      installation().taskcluster.behave({ mode: 'normal' });
      assert.equal((await claim()).properties.type, 'result');
    });
  }

  it('that is slow: claims wait for it', async () => {
    installation().taskcluster.behave({ mode: 'slow', delayMs: 1500 });
    assert.equal((await claim()).properties.type, 'result');
  });

  it('that hangs for more claims than its concurrency limit: other requests are answered', async () => {
    installation().taskcluster.behave({ mode: 'hanging' });
    const requester = await installation().requester();
    const credentials = installation().taskcluster.credentials(TEAM);
    const body = { namespace: teamNamespace() };
    const startedMs = performance.now();
    const claims = Array.from({ length: installation().config.authConcurrency * 3 }, () =>
      requester.request({ method: 'claim-namespace', body, credentials }),
    );
    const rpc = await installation().rpc();
    await rpc.request('ping', {});
    assert.ok(performance.now() - startedMs < 2000, 'a ping waits for no claim');
    for (const reply of await Promise.all(claims)) unavailable(reply);
    assert.ok(performance.now() - startedMs < PROMISE_MS);
  });
});

describe('a management API in trouble', () => {
  const calls: (readonly unknown[])[] = [];
  let fault: (() => Promise<never>) | undefined;
  /** Records every call, and makes it fail when a fault is set. */
  const wrapManagement = (management: Management): Management =>
    new Proxy(management, {
      get: (target, name, receiver) => {
        const member: unknown = Reflect.get(target, name, receiver);
        if (typeof member !== 'function' || name === 'close') return member;
        return (...args: unknown[]) => {
          calls.push(args);
          return fault === undefined ? Reflect.apply(member, target, args) : fault();
        };
      },
    });
  const installation = useInstallation({ agent: { wrapManagement } });

  afterEach(() => {
    fault = undefined;
  });

  it('a first claim is Unavailable, and succeeds once the API is back', async () => {
    const namespace = teamNamespace();
    const requester = await installation().requester();
    const credentials = installation().taskcluster.credentials(TEAM);
    const claim = () => requester.request({ method: 'claim-namespace', body: { namespace }, credentials });
    fault = unreachable;
    unavailable(await claim());
    const state = await requester.request({ method: 'get-namespace', body: { namespace } });
    // The claim looks up first what exists, and writes nothing before it knows.
    assert.equal(state.json['code'], 'ResourceNotFound');
    fault = undefined;
    const { json } = await claim();
    await openConnection(String(json['connectionString']));
  });

  it('a re-claim succeeds, because it makes no call', async () => {
    const namespace = teamNamespace();
    const rpc = await installation().rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace });
    fault = unreachable;
    // Jobs make calls too, but none about this namespace.
    const made = () => calls.filter((args) => args.some((name) => String(name).includes(namespace)));
    const before = made();
    const again = await rpc.request('claim-namespace', { namespace });
    assert.equal(again.connectionString, connectionString);
    assert.deepEqual(made(), before);
  });

  it('that hangs: a first claim is Unavailable in time, and other requests are answered', async () => {
    fault = () => new Promise(() => undefined);
    const requester = await installation().requester();
    const credentials = installation().taskcluster.credentials(TEAM);
    const startedMs = performance.now();
    const [reply] = await Promise.all([
      requester.request({ method: 'claim-namespace', body: { namespace: teamNamespace() }, credentials }),
      requester.request({ method: 'ping' }),
    ]);
    unavailable(reply);
    assert.ok(performance.now() - startedMs < PROMISE_MS);
  });
});

describe('a store in trouble', () => {
  let fault: (() => Promise<never>) | undefined;
  const wrapStore = (store: Store): Store => ({
    ...store,
    check: () => store.check(),
    close: () => store.close(),
    namespaces: new Proxy(store.namespaces, {
      get: (target, name, receiver) => {
        const member: unknown = Reflect.get(target, name, receiver);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => (fault === undefined ? Reflect.apply(member, target, args) : fault());
      },
    }),
  });
  const installation = useInstallation({ agent: { wrapStore } });

  afterEach(() => {
    fault = undefined;
  });

  for (const [what, failing, code] of [
    ['does not answer', () => Promise.reject(new AgentError('StoreUnavailable', 'By a test.')), 'Unavailable'],
    ['hangs', () => new Promise<never>(() => undefined), 'Unavailable'],
    [
      'throws an unexpected error',
      () => Promise.reject(new Error('mongodb://u:secret-in-error@h')),
      'InternalServerError',
    ],
  ] as const) {
    it(`that ${what}: ${code} in time, and pings are answered`, async () => {
      fault = failing;
      const requester = await installation().requester();
      const startedMs = performance.now();
      const credentials = installation().taskcluster.credentials(TEAM);
      const replies = await Promise.all([
        requester.request({ method: 'claim-namespace', body: { namespace: teamNamespace() }, credentials }),
        requester.request({ method: 'list-namespaces' }),
      ]);
      assert.equal((await requester.request({ method: 'ping' })).properties.type, 'result');
      for (const { json } of replies) {
        assert.equal(json['code'], code);
        assert.equal(json['retryable'], true);
        assert.ok(!JSON.stringify(json).includes('secret-in-error'));
      }
      assert.ok(performance.now() - startedMs < PROMISE_MS);
    });
  }

  it('that answers no more: a call ends with the last answer of an agent, and not with that none runs', async () => {
    const away = new AgentError('StoreUnavailable', 'By a test.');
    let answers = 0;
    // As MongoDB without a primary: the first operations fail, later ones wait longer than the client.
    fault = () => (answers++ < 2 ? Promise.reject(away) : new Promise<never>(() => undefined));
    const client = installation().client(TEAM);
    const meaning = /The store does not answer/;
    for (const call of [
      () => client.getNamespace(teamNamespace(), { timeoutMs: 3000 }),
      () => client.claimNamespace({ namespace: teamNamespace() }, { timeoutMs: 3000 }),
    ]) {
      answers = 0;
      await assert.rejects(call(), (error) => {
        assert.ok(error instanceof Unavailable, String(error));
        assert.match(error.message, meaning);
        assert.doesNotMatch(error.message, /no agent runs/);
        assert.ok(error.mayHaveActed && error.retryable);
        assert.match((error.cause as Error).message, meaning);
        return true;
      });
    }
  });
});
