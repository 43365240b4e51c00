import { randomBytes } from 'node:crypto';
import { request as httpRequest, Agent as HttpAgent } from 'node:http';
import { join } from 'node:path';
import { open } from 'lmdb';
import { HASHING_ALGORITHM } from '../src/broker/management/management.ts';
import { hashPassword } from '../src/broker/password-hash.ts';
import { signedResource } from '../src/contract/signature.ts';
import { permissionsOf } from '../src/namespaces/accounts/account-names.ts';
import { Secret } from '../src/util/secret.ts';
import { AUDIENCE, type Prepared } from './requests.ts';
import { rawPrefix, type Site } from './site.ts';

/** The parts of a claim, made without the agent and without a client library. */
export interface RawCalls {
  /** Asks Taskcluster who signed this claim. */
  readonly authenticate: (signed: Prepared) => Promise<void>;
  /** Creates a user, then grants its permissions in both vhosts, side by side. */
  readonly provision: () => Promise<void>;
  /** Gives a user, by its number, another password. */
  readonly changePassword: (number: number) => Promise<void>;
  /** Creates a user without permissions, or gives it another password. */
  readonly putUser: (name: string) => Promise<void>;
  /** Deletes a user or a queue; it need not exist. */
  readonly deleteUser: (name: string) => Promise<void>;
  readonly deleteQueue: (name: string) => Promise<void>;
  /** Makes one durable write of the size of a record, like the store. */
  readonly write: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** As many as the agent has for the auth service, and for the management API. */
const SOCKETS = 32;

/** Opens connections to the services of the site, and a database. */
export function openRawCalls(site: Site): RawCalls {
  const { names, vhost, user, password } = site;
  const agents = { auth: newAgent(), management: newAgent() };
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const api = `${new URL(site.managementUrl).origin}/api`;
  // The options of the store.
  const database = open<object, string>({
    path: join(site.folder, 'raw.mdb'),
    encoding: 'json',
    overlappingSync: false,
  });
  const record = { text: 'x'.repeat(500) };
  let last = 0;
  const next = (): number => (last += 1);

  const manage = async (method: 'PUT' | 'DELETE', path: readonly string[], body = ''): Promise<void> => {
    const url = `${api}/${path.map(encodeURIComponent).join('/')}`;
    const { status, text } = await call(agents.management, method, url, body, { authorization });
    if (status >= 300 && status !== 404) throw new Error(`${method} ${url} was answered with ${status}: ${text}`);
  };
  const putUser = async (name: string): Promise<void> => {
    const passwordHash = hashPassword(new Secret(randomBytes(32).toString('base64url')), randomBytes(4));
    const body = { password_hash: passwordHash, hashing_algorithm: HASHING_ALGORITHM, tags: [] };
    await manage('PUT', ['users', name], JSON.stringify(body));
  };

  return {
    async authenticate({ correlationId, headers }) {
      const body = {
        method: 'post',
        resource: signedResource('claim-namespace', 'amq.rabbitmq.reply-to', correlationId),
        host: AUDIENCE,
        port: 443,
        authorization: headers['authorization'],
      };
      const url = `${site.taskclusterUrl}/api/auth/v1/authenticate-hawk`;
      const { text } = await call(agents.auth, 'POST', url, JSON.stringify(body));
      if (!text.includes('"auth-success"')) throw new Error(`The auth service answered ${text}`);
    },
    async provision() {
      const name = `${rawPrefix(names)}${next()}`;
      await putUser(name);
      const permissions = Object.entries(permissionsOf({ ...names, vhost }, name));
      await Promise.all(
        permissions.map(([where, granted]) => manage('PUT', ['permissions', where, name], JSON.stringify(granted))),
      );
    },
    changePassword: (number) => putUser(`${rawPrefix(names)}changed-${number}`),
    putUser,
    deleteUser: (name) => manage('DELETE', ['users', name]),
    deleteQueue: (name) => manage('DELETE', ['queues', vhost, name]),
    async write() {
      await database.put(`key ${next()}`, record);
    },
    async close() {
      agents.auth.destroy();
      agents.management.destroy();
      await database.close();
    },
  };
}

function newAgent(): HttpAgent {
  return new HttpAgent({ keepAlive: true, maxSockets: SOCKETS });
}

async function call(
  agent: HttpAgent,
  method: string,
  url: string,
  body: string,
  more: Readonly<Record<string, string>> = {},
): Promise<{ status: number; text: string }> {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...more };
  return await new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
