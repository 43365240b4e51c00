import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import taskcluster from 'taskcluster-client';
import { type LocalTaskcluster, startTaskcluster } from '../../../dev/taskcluster/server.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const clientsFile = `${root}config/dev-taskcluster.yml`;
const request = { method: 'post', resource: '/', host: 'x', port: 443 };

describe('behaviour of the Taskcluster stand-in', () => {
  let service: LocalTaskcluster;
  const call = (timeout = 5000): Promise<unknown> =>
    new taskcluster.Auth({ rootUrl: service.rootUrl, credentials: {}, retries: 0, timeout }).authenticateHawk(request);

  beforeEach(async () => {
    service = await startTaskcluster({ clientsFile });
  });
  afterEach(() => service.close());

  it('can be slow', async () => {
    service.behave({ mode: 'slow', delayMs: 120 }, 'auth');
    const startedMs = performance.now();
    await call();
    assert.ok(performance.now() - startedMs >= 115);
  });

  it('can hang', async () => {
    service.behave({ mode: 'hanging' });
    await assert.rejects(call(100), { code: 'ECONNABORTED' });
  });

  it('can fail, cut connections, and send wrong answers', async () => {
    service.behave({ mode: 'failing', status: 503 });
    await assert.rejects(call(), { statusCode: 503 });
    service.behave({ mode: 'cutting' });
    await assert.rejects(call(), { code: 'ECONNRESET' });
    service.behave({ mode: 'wrong' });
    assert.deepEqual(await call(), { status: 'maybe' });
    service.behave({ mode: 'wrong', body: '{"stat' });
    await assert.rejects(call());
  });

  it('can go down and come back on the same port', async () => {
    await call();
    await service.refuseConnections();
    await assert.rejects(call(), { code: 'ECONNREFUSED' });
    await service.acceptConnections();
    await call();
    assert.equal(service.calls.authenticateHawk, 2);
  });

  it('can misbehave in one service only', async () => {
    service.behave({ mode: 'failing' }, 'notify');
    await call();
    assert.equal((await fetch(`${service.rootUrl}/api/notify/v1/ping`)).status, 500);
  });

  it('can be controlled and queried over HTTP', async () => {
    const put = (body: object): Promise<Response> =>
      fetch(`${service.rootUrl}/_dev/behaviour`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    assert.equal((await put({ service: 'auth', behaviour: { mode: 'failing' } })).status, 200);
    await assert.rejects(call(), { statusCode: 500 });
    assert.equal((await put({ behaviour: { mode: 'normal' } })).status, 200);
    await call();
    assert.equal((await put({ behaviour: { mode: 'moody' } })).status, 400);
    assert.match(await (await fetch(`${service.rootUrl}/_dev/calls`)).text(), /"authenticateHawk":2/);
    assert.deepEqual(await (await fetch(`${service.rootUrl}/_dev/mails`)).json(), []);
  });

  it('closes when its signal aborts, even with an unanswered request', async () => {
    const closing = new AbortController();
    const other = await startTaskcluster({ signal: closing.signal });
    other.behave({ mode: 'hanging' });
    const hanging = fetch(`${other.rootUrl}/api/auth/v1/ping`);
    // When a second request is answered, the first one's connection is open.
    await fetch(`${other.rootUrl}/_dev/calls`);
    closing.abort();
    await assert.rejects(hanging);
    await assert.rejects(fetch(`${other.rootUrl}/_dev/calls`));
  });

  it('refuses a faulty list of clients and names each fault', async () => {
    await assert.rejects(
      startTaskcluster({ directory: { clients: [{ clientId: 'a b', accessToken: 'short' }] } }),
      /clients\.0\.clientId: .*clients\.0\.accessToken: /,
    );
    const cycle = { roles: [{ roleId: 'a*', scopes: ['assume:ab<..>'] }] };
    await assert.rejects(startTaskcluster({ directory: cycle }), /in a cycle/);
    const star = { roles: [{ roleId: 'a*', scopes: ['b*<..>'] }] };
    await assert.rejects(startTaskcluster({ directory: star }), /Remove the star/);
    const stars = {
      roles: [{ roleId: 'a', scopes: ['a**'] }],
      clients: [{ clientId: 'a', accessToken: 'x'.repeat(22), scopes: ['b**'] }],
    };
    await assert.rejects(
      startTaskcluster({ directory: stars }),
      /clients\.0\.scopes\.0: .*roles\.0\.scopes\.0: .*end with/,
    );
    const several = { roles: [{ roleId: 'a*', scopes: ['<..><..>'] }] };
    await assert.rejects(startTaskcluster({ directory: several }), /Leave one/);
  });

  it('refuses a port that is in use', async () => {
    await assert.rejects(startTaskcluster({ port: service.port }), { code: 'EADDRINUSE' });
  });
});
