import assert from 'node:assert/strict';
import taskcluster, { type Credentials } from 'taskcluster-client';
import type { LocalTaskcluster } from '../../../dev/taskcluster/server.ts';
import { ANONYMOUS, ask, failure, sign, signWith, startService, TOKEN } from './support.ts';

type Temporary = Credentials & { certificate: string };

const HOUR_MS = 60 * 60 * 1000;
const minutes = (count: number): number => Date.now() + count * 60_000;

const temporary = (options: {
  clientId?: string;
  scopes: string[];
  startMs?: number;
  expiryMs?: number;
  issuer?: string;
}): Temporary =>
  taskcluster.createTemporaryCredentials({
    ...(options.clientId === undefined ? {} : { clientId: options.clientId }),
    start: new Date(options.startMs ?? Date.now()),
    expiry: new Date(options.expiryMs ?? Date.now() + HOUR_MS),
    scopes: options.scopes,
    credentials: { clientId: options.issuer ?? 'issuer', accessToken: TOKEN },
  });
const tampered = (credentials: Temporary, changes: object): Credentials => ({
  ...credentials,
  certificate: { ...JSON.parse(credentials.certificate), ...changes },
});

describe('authorizedScopes at the Taskcluster stand-in', () => {
  let service: LocalTaskcluster;
  before(async () => {
    service = await startService();
  });
  after(() => service.close());

  it('limit the scopes, except those of assume:anonymous', async () => {
    const reply = await ask(service, sign('plain', { ext: { authorizedScopes: ['a:7'] } }));
    assert.deepEqual(reply['scopes'], ['a:7', ...ANONYMOUS]);
  });

  it('may include scopes from roles, and those of assume:anonymous', async () => {
    for (const scope of ['queue:red', 'public:read']) {
      assert.equal(
        (await ask(service, sign('member', { ext: { authorizedScopes: [scope] } })))['status'],
        'auth-success',
      );
    }
  });

  it('are refused when malformed, or beyond the scopes of the client', async () => {
    const refused = await failure(service, sign('plain', { ext: { authorizedScopes: ['c'] } }));
    assert.match(String(refused), /^Supplied credentials do not satisfy authorizedScopes/);
    assert.equal(
      await failure(service, sign('plain', { ext: { authorizedScopes: 'a:1' } })),
      'ext.authorizedScopes must be an array',
    );
    assert.equal(
      await failure(service, sign('plain', { ext: { authorizedScopes: ['a:\n'] } })),
      'ext.authorizedScopes must be an array of valid scopes',
    );
  });
});

describe('temporary credentials at the Taskcluster stand-in', () => {
  let service: LocalTaskcluster;
  before(async () => {
    service = await startService();
  });
  after(() => service.close());

  it('have the scopes of the certificate and expire with it', async () => {
    const expiryMs = Date.now() + HOUR_MS;
    const reply = await ask(service, signWith(temporary({ scopes: ['a:9', 'queue:red'], expiryMs })));
    assert.equal(reply['clientId'], 'issuer');
    assert.equal(reply['expires'], new Date(expiryMs).toISOString());
    assert.deepEqual(reply['scopes'], ['a:9', 'assume:anonymous', 'public:read', 'queue:red']);
  });

  it('can be limited further by authorizedScopes', async () => {
    const reply = await ask(service, signWith(temporary({ scopes: ['a:*'] }), ['a:3']));
    assert.deepEqual(reply['scopes'], ['a:3', ...ANONYMOUS]);
  });

  it('can have a name that the issuer may create', async () => {
    const reply = await ask(service, signWith(temporary({ clientId: 'named/one', scopes: ['a:9'] })));
    assert.equal(reply['status'], 'auth-success');
    assert.equal(reply['clientId'], 'named/one');
  });

  it('are refused with a name that the issuer may not create, or that differs from the signed one', async () => {
    const wrongName = temporary({ clientId: 'other/one', scopes: ['a:9'] });
    assert.equal(
      await failure(service, signWith(wrongName)),
      "ext.certificate issuer `issuer` doesn't have `auth:create-client:other/one` for supplied clientId.",
    );
    const renamed = { ...temporary({ clientId: 'named/one', scopes: ['a:9'] }), clientId: 'named/two' };
    assert.equal(
      await failure(service, signWith(renamed)),
      'ext.certificate.signature is not valid, or wrong clientId provided',
    );
    assert.equal(
      await failure(service, signWith({ ...renamed, clientId: 'issuer' })),
      'ext.certificate.issuer must differ from the supplied clientId',
    );
  });

  it('are refused with scopes that the issuer does not have', async () => {
    assert.match(
      String(await failure(service, signWith(temporary({ scopes: ['b'] })))),
      /doesn't satisfy all certificate/,
    );
  });

  it('are refused when the issuer was deleted, is disabled or has expired', async () => {
    for (const issuer of ['unknown', 'disabled', 'expired']) {
      const credentials = temporary({ clientId: 'named/one', scopes: [], issuer });
      assert.match(
        String(await failure(service, signWith(credentials))),
        new RegExp(`^Client with clientId:? '${issuer}'`),
      );
    }
  });

  it('have a leeway of 5 minutes at both ends', async () => {
    for (const times of [{ startMs: minutes(4) }, { startMs: minutes(-60), expiryMs: minutes(-4) }]) {
      assert.equal((await ask(service, signWith(temporary({ scopes: ['a:9'], ...times }))))['status'], 'auth-success');
    }
    const early = temporary({ scopes: [], startMs: minutes(6) });
    assert.equal(await failure(service, signWith(early)), 'ext.certificate.start > now');
    const late = temporary({ scopes: [], startMs: minutes(-60), expiryMs: minutes(-6) });
    assert.equal(await failure(service, signWith(late)), 'ext.certificate.expiry < now');
  });

  it('are refused when the certificate was changed', async () => {
    const credentials = temporary({ scopes: ['a:9'] });
    const changes: [object, RegExp][] = [
      [{ scopes: ['a:*'] }, /^ext.certificate.signature is not valid$/],
      [{ expiry: Date.now() + 2 * HOUR_MS }, /^ext.certificate.signature is not valid$/],
      [{ expiry: Date.now() + 32 * 24 * HOUR_MS }, /cannot last longer than 31 days/],
      [{ signature: 'short' }, /^ext.certificate.signature is not valid$/],
      [{ signature: 5 }, /^ext.certificate.signature is not valid$/],
      [{ version: 2 }, /version must be 1/],
      [{ seed: 'short' }, /seed must be 44 characters/],
      [{ seed: 44 }, /seed must be a string/],
      [{ start: '1' }, /start must be a number/],
      [{ expiry: null }, /expiry must be a number/],
      [{ scopes: 'a:9' }, /scopes must be an array$/],
      [{ scopes: ['\u00e4'] }, /scopes must be an array of valid scopes/],
      [{ issuer: 5 }, /issuer must be a string/],
      [{ clientId: 'issuer' }, /clientId must only be used with/],
    ];
    for (const [change, message] of changes) {
      assert.match(
        String(await failure(service, signWith(tampered(credentials, change)))),
        message,
        JSON.stringify(change),
      );
    }
  });

  it('may have an issuer that counts as none', async () => {
    const credentials = temporary({ scopes: ['a:9'] });
    for (const issuer of [null, 0, false, '']) {
      const reply = await ask(service, signWith(tampered(credentials, { issuer })));
      assert.equal(reply['clientId'], 'issuer', JSON.stringify(issuer));
    }
  });

  it('with a name outside of the pattern of clientIds make the service fail', async () => {
    for (const clientId of ['any thing', 'any~thing', 'any,thing']) {
      const credentials = temporary({ clientId, scopes: ['a:9'], issuer: 'any-issuer' });
      await assert.rejects(ask(service, signWith(credentials)), { statusCode: 500, code: 'InternalServerError' });
    }
  });

  it('need the certificate as an object, as in ext', async () => {
    const { accessToken, certificate } = temporary({ scopes: [] });
    const header = sign('issuer', { key: accessToken, ext: { certificate } });
    assert.equal(await failure(service, header), 'ext.certificate must be a JSON object');
    const list = sign('issuer', { key: accessToken, ext: { certificate: [] } });
    assert.equal(await failure(service, list), 'ext.certificate.version must be 1');
  });

  it('are refused without scopes, because service and client then sign different texts', async () => {
    const refused = await failure(service, signWith(temporary({ scopes: [] })));
    assert.equal(refused, 'ext.certificate.signature is not valid');
  });

  it('are invalid without the certificate', async () => {
    const { accessToken } = temporary({ scopes: [] });
    assert.equal(await failure(service, sign('issuer', { key: accessToken })), 'Unauthorized: Bad mac');
  });

  it('with a hundred scopes exceed the header', async () => {
    const many = Array.from({ length: 100 }, (_, index) => `a:some-longer-scope-with-a-number-${index}`);
    assert.equal(await failure(service, signWith(temporary({ scopes: many }))), 'Bad Request: Header length too long');
  });
});
