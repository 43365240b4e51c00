import assert from 'node:assert/strict';
import { client as hawk } from 'hawk';
import taskcluster, { type Credentials } from 'taskcluster-client';
import type { DirectoryInput } from '../../../dev/taskcluster/clients-file.ts';
import { type LocalTaskcluster, startTaskcluster } from '../../../dev/taskcluster/server.ts';

/** The signed request. */
export const PARTS = { host: 'pulse-agent', port: 443, resource: '/v1/claim-namespace?replyTo=q&correlationId=1' };
/** The access token of all clients. */
export const TOKEN = 'for-tests-only-0000000000000000000000';
/** The scopes that every client has. */
export const ANONYMOUS = ['assume:anonymous', 'public:read'];

const DIRECTORY: DirectoryInput = {
  clients: [
    { clientId: 'plain', accessToken: TOKEN, expires: '2099-05-06T07:08:09.000Z', scopes: ['b', 'a:1', 'a:*'] },
    { clientId: 'member', accessToken: TOKEN, scopes: ['assume:team:red'] },
    { clientId: 'every-team', accessToken: TOKEN, scopes: ['assume:team:*'] },
    { clientId: 'nested', accessToken: TOKEN, scopes: ['assume:outer'] },
    { clientId: 'issuer', accessToken: TOKEN, scopes: ['auth:create-client:named/*', 'a:*', 'assume:team:red'] },
    { clientId: 'any-issuer', accessToken: TOKEN, scopes: ['auth:create-client:*', 'a:*'] },
    { clientId: 'disabled', accessToken: TOKEN, disabled: true },
    { clientId: 'expired', accessToken: TOKEN, expires: '2020-01-01' },
    {
      clientId: 'mailer',
      accessToken: TOKEN,
      scopes: [
        ...['owner@example.com', 'no@*', 'quiet@*', 'odd*'].map((address) => `notify:email:${address}`),
        ...['room', 'other', 'denied'].map((room) => `notify:matrix-room:!${room}:example.com`),
        'notify:slack-channel:C0*',
      ],
    },
  ],
  roles: [
    { roleId: 'anonymous', scopes: ['public:read'] },
    { roleId: 'team:*', scopes: ['queue:<..>:use', 'queue:<..>', 'member', 'use:<..>:now'] },
    { roleId: 'outer', scopes: ['assume:inner'] },
    { roleId: 'inner', scopes: ['deep'] },
  ],
  mail: { denylisted: ['no@example.com'], silent: ['quiet@example.com'] },
  chat: { denylisted: ['!denied:example.com', 'C0DENIED'], rooms: ['!room:*'] },
};

/** Starts a stand-in with a few clients and roles. */
export function startService(): Promise<LocalTaskcluster> {
  return startTaskcluster({ directory: DIRECTORY });
}

export interface Signing {
  ext?: object | string;
  timestamp?: number | string;
  nonce?: string;
  hash?: string;
  key?: string;
}

/** Signs a request, as a client does. */
export function sign(clientId: string, signing: Signing = {}): string {
  const ext = typeof signing.ext === 'object' ? JSON.stringify(signing.ext) : signing.ext;
  return hawk.header(`https://${PARTS.host}${PARTS.resource}`, 'POST', {
    credentials: { id: clientId, key: signing.key ?? TOKEN, algorithm: 'sha256' },
    ...(ext === undefined ? {} : { ext: Buffer.from(ext).toString('base64') }),
    // Hawk signs any value, and a forger may use text.
    ...(signing.timestamp === undefined ? {} : { timestamp: signing.timestamp as number }),
    ...(signing.nonce === undefined ? {} : { nonce: signing.nonce }),
    ...(signing.hash === undefined ? {} : { hash: signing.hash }),
  }).header;
}

/** Signs with temporary credentials. */
export function signWith(credentials: Credentials, authorizedScopes?: string[]): string {
  const certificate =
    typeof credentials.certificate === 'string' ? JSON.parse(credentials.certificate) : credentials.certificate;
  return sign(credentials.clientId, { key: credentials.accessToken, ext: { certificate, authorizedScopes } });
}

/** Calls authenticateHawk through taskcluster-client; `parts` replaces parts of the request. */
export async function ask(
  service: LocalTaskcluster,
  authorization?: string,
  parts: object = {},
): Promise<Record<string, unknown>> {
  const auth = new taskcluster.Auth({ rootUrl: service.rootUrl, credentials: {}, retries: 0 });
  const request = { method: 'post', ...PARTS, ...(authorization === undefined ? {} : { authorization }), ...parts };
  const reply = await auth.authenticateHawk(request);
  assert.ok(typeof reply === 'object' && reply !== null);
  return { ...reply };
}

/** The message with which the service refuses this header. */
export async function failure(service: LocalTaskcluster, authorization: string): Promise<unknown> {
  const { status, message, ...rest } = await ask(service, authorization);
  assert.equal(status, 'auth-failed');
  assert.deepEqual(rest, {});
  return message;
}
