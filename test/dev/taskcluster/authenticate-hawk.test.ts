import assert from 'node:assert/strict';
import taskcluster from 'taskcluster-client';
import type { LocalTaskcluster } from '../../../dev/taskcluster/server.ts';
import { ANONYMOUS, ask, failure, PARTS, sign, startService, TOKEN } from './support.ts';

describe('authenticateHawk of the Taskcluster stand-in', () => {
  let service: LocalTaskcluster;
  before(async () => {
    service = await startService();
  });
  after(() => service.close());

  it('returns the signer, its sorted and normalised scopes, and those of assume:anonymous', async () => {
    assert.deepEqual(await ask(service, sign('plain')), {
      status: 'auth-success',
      scheme: 'hawk',
      clientId: 'plain',
      expires: '2099-05-06T07:08:09.000Z',
      scopes: ['a:*', 'assume:anonymous', 'b', 'public:read'],
    });
  });

  it('echoes the payload hash without checking it', async () => {
    assert.equal((await ask(service, sign('plain', { hash: 'not-a-hash' })))['hash'], 'not-a-hash');
  });

  it('accepts the same nonce repeatedly', async () => {
    const header = sign('plain', { nonce: 'again' });
    for (let i = 0; i < 3; i += 1) assert.equal((await ask(service, header))['status'], 'auth-success');
  });

  it('answers no-auth to an absent or empty authorization', async () => {
    for (const reply of [await ask(service), await ask(service, '')]) {
      const { expires, ...rest } = reply;
      assert.deepEqual(rest, { status: 'no-auth', scheme: 'none', scopes: ANONYMOUS });
      assert.ok(Date.parse(String(expires)) > Date.now());
    }
  });

  it('refuses a wrong key, and a request that differs from the signed one', async () => {
    assert.equal(await failure(service, sign('plain', { key: 'another-key' })), 'Unauthorized: Bad mac');
    for (const parts of [{ host: 'other' }, { port: 444 }, { resource: '/v1/ping' }, { method: 'put' }]) {
      const reply = await ask(service, sign('plain'), parts);
      assert.deepEqual(reply, { status: 'auth-failed', message: 'Unauthorized: Bad mac' }, JSON.stringify(parts));
    }
  });

  it('allows a clock difference of 15 minutes in either direction', async () => {
    const now = Math.floor(Date.now() / 1000);
    for (const timestamp of [now - 890, now + 890]) {
      assert.equal((await ask(service, sign('plain', { timestamp })))['status'], 'auth-success');
    }
    for (const timestamp of [now - 910, now + 910]) {
      assert.equal(await failure(service, sign('plain', { timestamp })), 'Unauthorized: Stale timestamp');
    }
  });

  it('accepts ts="abc", as hawk does', async () => {
    assert.equal((await ask(service, sign('plain', { timestamp: 'abc' })))['status'], 'auth-success');
  });

  it('refuses unknown, disabled and expired clients', async () => {
    assert.equal(await failure(service, sign('unknown')), "Client with clientId 'unknown' not found");
    assert.equal(await failure(service, sign('disabled')), "Client with clientId 'disabled' is disabled");
    assert.equal(await failure(service, sign('expired')), "Client with clientId: 'expired' has expired");
  });

  it('refuses headers that are too long, of another scheme, malformed, or that repeat an attribute', async () => {
    assert.equal(await failure(service, `Hawk id="${'x'.repeat(4096)}"`), 'Bad Request: Header length too long');
    assert.match(String(await failure(service, 'Basic abc')), /^Unauthorized/);
    assert.equal(await failure(service, 'Hawk id'), 'Bad Request: Bad header format');
    assert.equal(await failure(service, `${sign('plain')}, id="plain"`), 'Bad Request: Duplicate attribute: id');
    assert.equal(await failure(service, 'Hawk id="plain"'), 'Bad Request: Missing attributes');
  });

  it('parses ext before it looks up the key', async () => {
    assert.equal(await failure(service, sign('unknown', { ext: '{"broken' })), 'Failed to parse ext');
    // The service reads a field of it, and answers with the error of its runtime.
    const ofNull = "Cannot read properties of null (reading 'certificate')";
    assert.equal(await failure(service, sign('plain', { ext: 'null' })), ofNull);
  });

  it('finds names of Object.prototype in its cache of clients, as the service does, and refuses them', async () => {
    for (const id of ['__proto__', 'constructor', 'toString']) {
      assert.equal(await failure(service, sign(id)), 'Got non-array client.scopes=undefined (see #3502)', id);
    }
  });

  it('expands roles, with parameters and through other roles', async () => {
    assert.deepEqual((await ask(service, sign('member')))['scopes'], [
      'assume:anonymous',
      'assume:team:red',
      'member',
      'public:read',
      'queue:red',
      'queue:red:use',
      'use:red:now',
    ]);
    assert.deepEqual((await ask(service, sign('every-team')))['scopes'], [
      'assume:anonymous',
      'assume:team:*',
      'member',
      'public:read',
      'queue:*',
      'use:*',
    ]);
    const nested = ['assume:anonymous', 'assume:inner', 'assume:outer', 'deep', 'public:read'];
    assert.deepEqual((await ask(service, sign('nested')))['scopes'], nested);
  });

  it('uses a changed client from the next call on', async () => {
    service.setClient({ clientId: 'short-lived', accessToken: TOKEN });
    assert.equal((await ask(service, sign('short-lived')))['status'], 'auth-success');
    service.removeClient('short-lived');
    assert.equal(await failure(service, sign('short-lived')), "Client with clientId 'short-lived' not found");
  });

  const malformed: Record<string, object> = {
    'a method in upper case': { method: 'POST' },
    'an unknown method': { method: 'claim' },
    'a host with a port': { host: 'pulse-agent:443' },
    'a host with an underscore': { host: 'pulse_agent' },
    'a port out of range': { port: 65536 },
    'a port as text': { port: '443' },
    'no resource': { resource: undefined },
    'an authorization that is no text': { authorization: 7 },
    'a sourceIp that is none': { sourceIp: 'here' },
    'another field': { extra: true },
  };
  for (const [what, parts] of Object.entries(malformed)) {
    it(`answers 400 InputValidationError to ${what}`, async () => {
      await assert.rejects(ask(service, sign('plain'), parts), { statusCode: 400, code: 'InputValidationError' });
    });
  }

  it('answers 400 MalformedPayload to what is not JSON', async () => {
    const url = `${service.rootUrl}/api/auth/v1/authenticate-hawk`;
    for (const contentType of ['application/json', 'text/plain']) {
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': contentType }, body: '{' });
      assert.equal(response.status, 400);
      assert.match(await response.text(), /"code":"MalformedPayload"/);
    }
  });

  it('reads an empty body as an empty object, skips a byte order mark, and takes only objects and lists', async () => {
    const send = async (body: string): Promise<readonly [number, string]> => {
      const response = await fetch(`${service.rootUrl}/api/auth/v1/authenticate-hawk`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      const { code, status } = (await response.json()) as { readonly code?: string; readonly status?: string };
      return [response.status, code ?? status ?? ''];
    };
    assert.deepEqual(await send(''), [400, 'InputValidationError']);
    assert.deepEqual(await send('[]'), [400, 'InputValidationError']);
    assert.deepEqual(await send('5'), [400, 'MalformedPayload']);
    assert.deepEqual(await send(`\ufeff${JSON.stringify({ method: 'post', ...PARTS })}`), [200, 'no-auth']);
  });

  it('answers pings, and 404 elsewhere', async () => {
    assert.deepEqual(
      Object.keys((await new taskcluster.Auth({ rootUrl: service.rootUrl, credentials: {} }).ping()) ?? {}),
      ['alive', 'uptime'],
    );
    await new taskcluster.Notify({ rootUrl: service.rootUrl, credentials: {} }).ping();
    assert.equal((await fetch(`${service.rootUrl}/api/queue/v1/ping`)).status, 404);
  });
});
