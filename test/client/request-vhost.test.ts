import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as errors from '../../src/client/client-errors.ts';
import type { PulseAgentClient } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/client-options.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { manage, openConnection } from '../support/broker.ts';
import { unique } from '../support/folders.ts';

describe('a client and the vhost of the requests', function () {
  this.timeout(60_000);
  /** The agent's id, and the name of the vhost. The agent creates it. */
  const id = unique('agent');
  /** A claimant that the agent does not restore. */
  const claimant = { name: unique('claimant'), password: unique('password') };
  let installation: TestInstallation;

  before(async function () {
    this.timeout(300_000);
    installation = await makeInstallation({
      settings: { id, requestVhost: id, rotationIntervalSeconds: 3 },
      environment: { PULSE_AGENT_CLAIMANT_PASSWORD: '' },
    });
    await installation.start();
    const { broker } = installation;
    await manage(broker, 'PUT', `/users/${claimant.name}`, { password: claimant.password, tags: '' });
    const permissions = { configure: '', write: '^rpc/.*$', read: '' };
    await manage(broker, 'PUT', `/permissions/${id}/${claimant.name}`, permissions);
  });
  after(async () => {
    await installation.remove();
    await manage(installation.broker, 'DELETE', `/users/${claimant.name}`, undefined, [404]);
    await manage(installation.broker, 'DELETE', `/vhosts/${id}`);
  });

  /** A client whose URL has this path. */
  function clientWithPath(path: string, options: Partial<ClientOptions> = {}): PulseAgentClient {
    const { name, password } = claimant;
    const url = `amqp://${name}:${password}@127.0.0.1:${installation.broker.amqpPort}${path}`;
    return installation.client(TEAM, { url, timeoutMs: 3000, ...options });
  }

  for (const [what, path, options] of [
    ['no path, which stands for its id', '', {}],
    ['an empty path, which stands for its id', '/', {}],
    ['the vhost as its path', `/${id}`, {}],
    ['any path, and the option requestVhost', '/elsewhere', { requestVhost: id }],
  ] as const) {
    it(`are those of a URL with ${what}`, async () => {
      const client = clientWithPath(path, options);
      assert.equal((await client.ping()).agent, id);
      const { connectionString } = await client.claimNamespace({ namespace: teamNamespace() });
      assert.equal(new URL(connectionString).pathname, `/${encodeURIComponent(installation.config.vhost)}`);
      await openConnection(connectionString);
    });
  }

  it('do not fit when the path names another vhost', async () => {
    const path = `/${encodeURIComponent(installation.config.vhost)}`;
    await assert.rejects(clientWithPath(path).ping(), (error) => {
      assert.ok(error instanceof errors.BrokerRefused && error.details.refused === 'vhost');
      assert.match(
        error.message,
        /access to vhost '.*' refused for user '.*'\. It must exist, and this user must have/,
      );
      return true;
    });
  });

  it('do for the credentials of a claimed account, in whose connection string the path names the other vhost', async () => {
    const { connectionString: url } = await clientWithPath('').claimNamespace({ namespace: teamNamespace() });
    const namespace = teamNamespace();
    const client = installation.client(TEAM, { url, requestVhost: id });
    assert.equal((await client.claimNamespace({ namespace })).namespace, namespace);
  });

  it('do while the claimant is gone: a lease is renewed with its own credentials', async () => {
    for (const path of ['', `/${id}`]) {
      const { broker } = installation;
      const lease = await clientWithPath(path).lease({ namespace: teamNamespace() });
      const { body } = await manage(broker, 'GET', `/permissions/${id}/${claimant.name}`);
      await manage(broker, 'DELETE', `/users/${claimant.name}`);
      try {
        for (let renewals = 0; renewals < 2; renewals += 1) await once(lease, 'renewed');
        await openConnection(lease.connectionString);
      } finally {
        await manage(broker, 'PUT', `/users/${claimant.name}`, { password: claimant.password, tags: '' });
        await manage(broker, 'PUT', `/permissions/${id}/${claimant.name}`, body);
      }
    }
  });
});
