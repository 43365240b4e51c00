import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { client as hawk } from 'hawk';
import { type LocalTaskcluster, startTaskcluster } from '../../dev/taskcluster/server.ts';
import {
  type TaskclusterAuth,
  type TaskclusterAuthOptions,
  createTaskclusterAuth,
  scopesSatisfy,
  type HawkRequest,
} from '../../src/requests/taskcluster-auth.ts';

const TOKEN = 'for-tests-only-0000000000000000000000';
const never = new AbortController().signal;
setMaxListeners(0, never);

function signed(key = TOKEN, hash?: string, ext?: string): HawkRequest {
  const resource = '/v1/claim-namespace?replyTo=q&correlationId=1';
  const { header } = hawk.header(`https://pulse-agent${resource}`, 'POST', {
    credentials: { id: 'someone', key, algorithm: 'sha256' },
    ...(hash === undefined ? {} : { hash }),
    ...(ext === undefined ? {} : { ext }),
  });
  return { method: 'post', resource, host: 'pulse-agent', port: 443, authorization: header };
}

async function unavailable(asking: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(asking, (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error);
    assert.equal(error.code, 'AuthUnavailable');
    assert.match(error.message, message);
    return true;
  });
}

describe('TaskclusterAuth', () => {
  let service: LocalTaskcluster;
  const made: TaskclusterAuth[] = [];
  const create = (options: Partial<TaskclusterAuthOptions> = {}): TaskclusterAuth => {
    const authenticator = createTaskclusterAuth({ rootUrl: service.rootUrl, ...options });
    made.push(authenticator);
    return authenticator;
  };

  beforeEach(async () => {
    service = await startTaskcluster({
      directory: { clients: [{ clientId: 'someone', accessToken: TOKEN, scopes: ['pulse:namespace:taskcluster-*'] }] },
    });
  });
  afterEach(async () => {
    for (const authenticator of made.splice(0)) authenticator.close();
    await service.close();
  });

  const called = async (times = 1): Promise<void> => {
    while (service.calls.authenticateHawk < times) await turn();
  };

  it('returns the signer, the scopes and the signed hash', async () => {
    assert.deepEqual(await create().authenticate(signed(TOKEN, 'aGFzaA=='), never), {
      status: 'auth-success',
      clientId: 'someone',
      scopes: ['assume:anonymous', 'pulse:namespace:taskcluster-*'],
      hash: 'aGFzaA==',
      expires: '2100-01-01T00:00:00.000Z',
    });
  });

  it('leaves the hash undefined where none was signed', async () => {
    const outcome = await create().authenticate(signed(), never);
    assert.ok(outcome.status === 'auth-success');
    assert.equal(outcome.hash, undefined);
  });

  it('returns why a signature is refused', async () => {
    const outcome = await create().authenticate(signed('another-key'), never);
    assert.deepEqual(outcome, { status: 'auth-failed', message: 'Unauthorized: Bad mac' });
  });

  it('cuts a long refusal', async () => {
    const scopes = Array.from({ length: 5000 }, (_, index) => `a:scope-with-the-number-${index}`);
    service.setClient({ clientId: 'someone', accessToken: TOKEN, scopes });
    const ext = Buffer.from(JSON.stringify({ authorizedScopes: ['b'] })).toString('base64');
    const outcome = await create().authenticate(signed(TOKEN, undefined, ext), never);
    assert.ok(outcome.status === 'auth-failed');
    assert.match(outcome.message, /^Supplied credentials do not satisfy authorizedScopes.* more characters\)$/s);
    assert.ok(outcome.message.length < 600, String(outcome.message.length));
  });

  it('returns no-auth', async () => {
    service.behave({ mode: 'wrong', body: '{"status":"no-auth","scheme":"none","scopes":[],"expires":""}' });
    assert.deepEqual(await create().authenticate(signed(), never), { status: 'no-auth' });
  });

  it('asks each time, so that a deleted client is refused immediately', async () => {
    const authenticator = create();
    const request = signed();
    assert.equal((await authenticator.authenticate(request, never)).status, 'auth-success');
    service.removeClient('someone');
    assert.equal((await authenticator.authenticate(request, never)).status, 'auth-failed');
    assert.equal(service.calls.authenticateHawk, 2);
  });

  it('reports a service that is down within a second', async () => {
    await service.refuseConnections();
    const startedMs = performance.now();
    await unavailable(create().authenticate(signed(), never), /ECONNREFUSED/);
    assert.ok(performance.now() - startedMs < 1000);
  });

  it('recovers from a keep-alive connection that the service cut', async () => {
    const authenticator = create();
    await authenticator.authenticate(signed(), never);
    await service.refuseConnections();
    await service.acceptConnections();
    assert.equal((await authenticator.authenticate(signed(), never)).status, 'auth-success');
  });

  it('answers the probe while slow calls hold every place and a queue of them waits', async () => {
    const auth = create({ concurrency: 32, timeoutMs: 60_000 });
    service.behave({ mode: 'hanging' });
    let ended = 0;
    const calls = Array.from({ length: 256 }, () =>
      auth
        .authenticate(signed(), never)
        .catch(() => undefined)
        .finally(() => ended++),
    );
    await called(32);
    service.behave({ mode: 'normal' });
    await auth.probe({ ...signed(), authorization: 'Hawk' }, never);
    assert.equal(ended, 0);
    auth.close();
    await Promise.all(calls);
  });

  it('tries a server error three times', async () => {
    service.behave({ mode: 'failing', status: 502 });
    await unavailable(create().authenticate(signed(), never), /HTTP 502/);
    assert.equal(service.calls.authenticateHawk, 3);
  });

  it('does not retry a refusal', async () => {
    await unavailable(create().authenticate({ ...signed(), host: 'not_a_host' }, never), /HTTP 400, InputValidation/);
    assert.equal(service.calls.authenticateHawk, 1);
  });

  it('times out once when the service hangs', async () => {
    service.behave({ mode: 'hanging' });
    const startedMs = performance.now();
    await unavailable(create({ timeoutMs: 300 }).authenticate(signed(), never), /did not answer in 300 ms/);
    assert.ok(performance.now() - startedMs < 900);
    assert.equal(service.calls.authenticateHawk, 1);
  });

  it('waits for a service that is slow but in time', async () => {
    service.behave({ mode: 'slow', delayMs: 200 });
    assert.equal((await create().authenticate(signed(), never)).status, 'auth-success');
  });

  it('counts the wait for the semaphore towards the timeout', async () => {
    service.behave({ mode: 'hanging' });
    const authenticator = create({ timeoutMs: 300, concurrency: 1 });
    const startedMs = performance.now();
    const asking = [1, 2, 3].map(() => unavailable(authenticator.authenticate(signed(), never), /did not answer/));
    await Promise.all(asking);
    assert.ok(performance.now() - startedMs < 900);
  });

  const nonsense: Record<string, { body: string; contentType?: string; status?: number }> = {
    'another form': { body: '{"status":"maybe"}' },
    'an empty object': { body: '{}' },
    null: { body: 'null' },
    'broken JSON': { body: '{"status":"auth-succ' },
    'a page': { body: '<html></html>', contentType: 'text/html' },
    'success without a clientId': {
      body: '{"status":"auth-success","scheme":"hawk","scopes":[],"expires":"2100-01-01T00:00:00Z"}',
    },
    'scopes that are no list': {
      body: '{"status":"auth-success","scheme":"hawk","clientId":"a","scopes":"*","expires":"2100-01-01T00:00:00Z"}',
    },
    'a redirection': { body: '', status: 302 },
    'an error without JSON': { body: 'null', status: 500 },
  };
  for (const [what, answer] of Object.entries(nonsense)) {
    it(`treats ${what} as no answer`, async () => {
      service.behave({ mode: 'wrong', ...answer });
      await unavailable(create().authenticate(signed(), never), /^The Taskcluster auth service /);
    });
  }

  it('never exceeds its concurrency', async () => {
    service.behave({ mode: 'slow', delayMs: 10 });
    const authenticator = create({ concurrency: 3 });
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => authenticator.authenticate(signed(), never)));
    assert.ok(outcomes.every(({ status }) => status === 'auth-success'));
    assert.equal(service.calls.authenticateHawkMostAtOnce, 3);
  });

  it('refuses immediately when too many calls wait', async () => {
    service.behave({ mode: 'slow', delayMs: 50 });
    const authenticator = create({ concurrency: 1, maxWaiting: 1 });
    const [running, waiting] = [
      authenticator.authenticate(signed(), never),
      authenticator.authenticate(signed(), never),
    ];
    await unavailable(authenticator.authenticate(signed(), never), /wait already/);
    for (const asking of [running, waiting]) assert.equal((await asking).status, 'auth-success');
  });

  it('stops waiting immediately when its signal aborts, with the reason of that', async () => {
    service.behave({ mode: 'hanging' });
    const authenticator = create({ concurrency: 1 });
    const startedMs = performance.now();
    const stopping = new AbortController();
    const asking = [1, 2].map(() => authenticator.authenticate(signed(), stopping.signal));
    const reason = new Error('the agent stops');
    stopping.abort(reason);
    await Promise.all(asking.map((each) => assert.rejects(each, reason)));
    assert.ok(performance.now() - startedMs < 1000);
    await assert.rejects(authenticator.authenticate(signed(), stopping.signal), reason);
  });

  it('holds its slot until the call ends, so that abandoned calls do not pile up', async () => {
    service.behave({ mode: 'slow', delayMs: 150 });
    const authenticator = create({ concurrency: 1 });
    const giving = new AbortController();
    const abandoned = authenticator.authenticate(signed(), giving.signal);
    await called();
    giving.abort();
    await assert.rejects(abandoned);
    assert.equal((await authenticator.authenticate(signed(), never)).status, 'auth-success');
    assert.equal(service.calls.authenticateHawkMostAtOnce, 1);
  });

  it('aborts its calls when closed', async () => {
    service.behave({ mode: 'hanging' });
    const authenticator = create();
    const asking = unavailable(authenticator.authenticate(signed(), never), /cannot be used/);
    await called();
    authenticator.close();
    await asking;
    await assert.rejects(authenticator.authenticate(signed(), never), { code: 'Stopping' });
  });

  it('shows no header, nonce or MAC in its errors', async () => {
    const behaviours = [
      { mode: 'failing' },
      { mode: 'cutting' },
      { mode: 'hanging' },
      { mode: 'wrong', status: 400, body: '{"code":"Hawk id=","message":"Hawk id="}' },
      { mode: 'wrong', body: '{"sta' },
      { mode: 'normal' },
    ] as const;
    const authenticator = create({ timeoutMs: 400 });
    for (const behaviour of behaviours) {
      service.behave(behaviour);
      // For this host the service echoes the whole request in its answer.
      const request = { ...signed(), host: 'not_a_host' };
      await assert.rejects(authenticator.authenticate(request, never), (error: unknown) => {
        const shown = inspect(error, { depth: 20, showHidden: true });
        for (const secret of [request.authorization, 'mac=', 'nonce=', 'Hawk id']) assert.ok(!shown.includes(secret));
        return true;
      });
    }
  });
});

describe('scopesSatisfy', () => {
  it('follows the rules of Taskcluster', () => {
    assert.ok(scopesSatisfy(['a', 'pulse:namespace:taskcluster-*'], 'pulse:namespace:taskcluster-x'));
    assert.ok(scopesSatisfy(['*'], 'pulse:namespace:taskcluster-x'));
    assert.ok(!scopesSatisfy(['pulse:namespace:*-x'], 'pulse:namespace:taskcluster-x'));
    assert.ok(!scopesSatisfy([], 'pulse:namespace:taskcluster-x'));
  });
});
