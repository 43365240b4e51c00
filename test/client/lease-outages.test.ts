import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Agent } from '../../src/agent/agent.ts';
import type { PulseAgentClient } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/client-options.ts';
import { ClockSkew, LeaseLost } from '../../src/client/client-errors.ts';
import type { Lease, LeaseEvents } from '../../src/client/lease.ts';
import { systemTime } from '../../src/client/time.ts';
import { makeInstallation, REVOKER, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { cutConnections, manage, openConnection } from '../support/broker.ts';
import { unique } from '../support/folders.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';

const INTERVAL_S = 3;

describe('a lease in a running installation', function () {
  this.timeout(90_000);
  let installation: TestInstallation;
  let agent: Agent;
  /** A claimant that the agent does not repair, so that a test may change its password. */
  const claimant = { name: unique('claimant'), password: unique('password') };

  before(async function () {
    this.timeout(300_000);
    installation = await makeInstallation({
      settings: { rotationIntervalSeconds: INTERVAL_S },
      environment: { PULSE_AGENT_CLAIMANT_PASSWORD: '' },
    });
    agent = await installation.start();
    await setPassword(claimant.password);
    const vhost = encodeURIComponent(installation.config.requestVhost);
    const permissions = { configure: '', write: '^rpc/.*$', read: '' };
    await manage(installation.broker, 'PUT', `/permissions/${vhost}/${claimant.name}`, permissions);
  });
  after(async () => {
    await installation.remove();
    await manage(installation.broker, 'DELETE', `/users/${claimant.name}`, undefined, [404]);
  });

  async function setPassword(password: string): Promise<void> {
    await manage(installation.broker, 'PUT', `/users/${claimant.name}`, { password, tags: '' });
  }

  function makeClient(options: Partial<ClientOptions> = {}, clientId = TEAM): PulseAgentClient {
    const url = new URL(installation.vhost.requestUrl);
    url.username = claimant.name;
    url.password = claimant.password;
    return installation.client(clientId, { url: url.href, timeoutMs: 3000, ...options });
  }

  /** The data of the next event of this type; rejects when the lease is lost first. */
  async function next<E extends keyof LeaseEvents>(lease: Lease, event: E): Promise<LeaseEvents[E][0]> {
    const over = new AbortController();
    const { signal } = over;
    const wanted = once(lease, event, { signal });
    const lost = once(lease, 'lost', { signal }).then(([error]) => Promise.reject(error as Error));
    try {
      const [data] = (await (event === 'lost' ? wanted : Promise.race([wanted, lost]))) as LeaseEvents[E];
      return data;
    } finally {
      lost.catch(() => undefined);
      over.abort();
    }
  }

  /** Waits for a renewal with credentials that open a connection. */
  async function goesOn(lease: Lease): Promise<void> {
    await next(lease, 'renewed');
    const connection = await openConnection(lease.connectionString);
    await connection.close();
  }

  it('continues after the agent was stopped for longer than the promise', async () => {
    const lease = await makeClient().lease({ namespace: teamNamespace() });
    await agent.stop();
    await next(lease, 'failing');
    while (Date.now() < lease.reclaimAt.getTime()) await next(lease, 'failing');
    await (await openConnection(lease.connectionString)).close();
    const renewed = goesOn(lease);
    agent = await installation.start();
    await renewed;
  });

  it('claims with its current credentials when the claimant has another password', async () => {
    const lease = await makeClient().lease({ namespace: teamNamespace() });
    await setPassword(unique('another'));
    try {
      await cutConnections(installation.broker, claimant.name);
      await goesOn(lease);
      await goesOn(lease);
    } finally {
      await setPassword(claimant.password);
    }
  });

  concurrentTests((it) => {
    it("continues with its current credentials while the client's URL is unreachable", async () => {
      // After `reclaimAt`, and failed attempts elsewhere, it claims with its current credentials; half an interval later they
      // may be refused.
      const slow = await makeInstallation({ settings: { rotationIntervalSeconds: 3 * INTERVAL_S } });
      await slow.start();
      const relay = await makeRelay(slow.broker.amqpPort);
      const url = new URL(slow.claimantUrl);
      url.port = String(relay.port);
      const lease = await slow.client(TEAM, { url: url.href, timeoutMs: 2000 }).lease({ namespace: teamNamespace() });
      relay.cut();
      await goesOn(lease);
    });

    for (const [hours, what] of [
      [1, 'less'],
      [5, 'more'],
    ] as const) {
      it(`reports that the clock is off by ${what} than the rest of the lifetime, and continues once it is right`, async () => {
        let offMs = 0;
        const time = { ...systemTime, nowMs: () => Date.now() + offMs };
        const lease = await makeClient({ time }).lease({ namespace: teamNamespace() });
        offMs = hours * 3_600_000;
        const { error } = await next(lease, 'failing');
        assert.ok(error instanceof ClockSkew);
        assert.match(error.message, / Set the clock\.$/);
        const renewed = goesOn(lease);
        offMs = 0;
        await renewed;
      });
    }

    it('returns other credentials immediately after a revocation, for a new connection', async () => {
      const namespace = teamNamespace();
      let offMs = 0;
      const time = { ...systemTime, nowMs: () => Date.now() + offMs };
      const lease = await makeClient({ time }).lease({ namespace });
      const before = lease.connectionString;
      const first = await openConnection((await lease.credentials()).connectionString);
      const closed = once(first, 'close');
      await makeClient({}, REVOKER).revokeNamespace(namespace);
      await closed;
      // Its credentials count as fresh for two seconds; after that the first connection succeeds.
      offMs = 2001;
      const { connectionString } = await lease.credentials();
      assert.notEqual(connectionString, before);
      await (await openConnection(connectionString)).close();
    });

    it('is lost when the namespace is revoked until a time, or released', async () => {
      const [revoked, released] = [teamNamespace(), teamNamespace()];
      const client = makeClient();
      const leases = await Promise.all([client.lease({ namespace: revoked }), client.lease({ namespace: released })]);
      const [ofRevoked, ofReleased] = leases;
      const lost = next(ofRevoked, 'lost');
      // If a released name can be claimed again before the lease checks, the lease has it again.
      const over = next(ofReleased, 'renewed').catch((error: unknown) => assert.ok(error instanceof LeaseLost));
      await makeClient({}, REVOKER).revokeNamespace(revoked, { until: new Date(Date.now() + 3_600_000) });
      await client.releaseNamespace(released);
      assert.equal((await lost).details['reason'], 'taken-away');
      await over;
    });

    it('ends at the given instant, and not before', async () => {
      const expires = new Date(Date.now() + 5000);
      const lease = await makeClient().lease({ namespace: teamNamespace(), expires });
      assert.equal(lease.expires.getTime(), expires.getTime());
      const lost = await next(lease, 'lost');
      assert.equal(lost.details['reason'], 'expired');
      assert.ok(Date.now() >= expires.getTime());
    });
  });
});
