import assert from 'node:assert/strict';
import { WireError } from '../../../src/contract/wire-errors.ts';
import { TEAM, teamNamespace, useInstallation } from '../../support/agent.ts';
import { manage, openConnection } from '../../support/broker.ts';
import { fetchFrom } from '../../support/agent-http.ts';
import { linesWith } from '../../support/test-log.ts';
import { unique } from '../../support/folders.ts';

const WITH_LIMITS = { maxNamespacesPerClient: 100, requestsPerMinutePerClient: 600 };

describe('growth by one client, with the default limits', function () {
  this.timeout(300_000);
  const installation = useInstallation({ settings: { ...WITH_LIMITS, httpPort: 0 } });

  it('one client that claims hundreds of names holds 100, and another client still claims', async () => {
    const { agent } = installation();
    const rpc = await installation().rpc(TEAM);
    const names = Array.from({ length: 304 }, () => unique('taskcluster-team'));
    const claims = await Promise.allSettled(names.map((namespace) => rpc.request('claim-namespace', { namespace })));
    assert.equal(claims.filter(({ status }) => status === 'fulfilled').length, 100);
    for (const claim of claims) {
      if (claim.status === 'fulfilled') continue;
      const error: unknown = claim.reason;
      assert.ok(error instanceof WireError);
      assert.deepEqual(
        [error.code, error.retryable, error.details],
        ['RequestConflict', false, { limit: 100, held: 100 }],
      );
    }
    const other = await installation().rpc('other/service');
    await other.request('claim-namespace', { namespace: unique('taskcluster-other') });
    const { body } = await fetchFrom(agent, '/metrics');
    assert.match(body, /^pulse_agent_refusals_total\{reason="too-many-namespaces"\} 204$/m);
  });

  it('a client that sends more than 600 requests a minute is told when to come again; another is not', async () => {
    const rpc = await installation().rpc(TEAM);
    // The test before has used up about half.
    const requests = Array.from({ length: 700 }, () =>
      rpc.request('release-namespace', { namespace: 'taskcluster-team' }),
    );
    const errors = (await Promise.allSettled(requests)).map(
      (one) => (one as PromiseRejectedResult).reason as WireError,
    );
    const refused = errors.filter(({ code, details }) => code === 'Unavailable' && details !== undefined);
    assert.ok(refused.length >= 100, String(refused.length));
    const { retryable, details } = refused[0] as WireError;
    assert.equal(retryable, true);
    assert.ok(Number(details?.['retryAfterSeconds']) >= 1);
    const other = await installation().rpc('other/service');
    await other.request('claim-namespace', { namespace: unique('taskcluster-other') });
  });
});

describe('growth by one holder, with the default limits', function () {
  this.timeout(300_000);
  const installation = useInstallation({ settings: { requestsPerMinutePerClient: null } });

  it('contacts that alternate write 60 audit records, and one with the number of the rest', async () => {
    const { agent, found } = { ...installation(), found: installation().log };
    const rpc = await installation().rpc(TEAM);
    const namespace = teamNamespace();
    const count = 400;
    for (let sent = 0; sent < count; sent += 1) {
      await rpc.request('claim-namespace', { namespace, contact: `a${sent % 2}@example.com` });
    }
    assert.equal(linesWith(found, 'audit', { namespace, action: 'claim' }).length, count);
    await agent.stop();
    const [summary, ...more] = linesWith(found, 'audit', { namespace, action: 'claim', outcome: 'suppressed' });
    assert.equal(more.length, 0);
    const suppressed = Number((summary?.['details'] as { suppressed?: unknown } | undefined)?.suppressed);
    assert.ok(suppressed >= count - 60 - 20 && suppressed <= count - 60, String(suppressed));
  });
});

describe('connections of one account, with the default limits', function () {
  this.timeout(300_000);
  const installation = useInstallation();

  it('200 are let in, and soon no more', async () => {
    const { broker } = installation();
    const rpc = await installation().rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace: teamNamespace() });
    const user = new URL(connectionString).username;
    const { body } = await manage(broker, 'GET', `/user-limits/${user}`);
    assert.deepEqual((body as { value: unknown }[])[0]?.value, { 'max-connections': 200, 'max-channels': 2000 });
    await Promise.all(Array.from({ length: 200 }, () => openConnection(connectionString)));
    // RabbitMQ counts connections with a delay, so that a few more may be let in.
    let isRefused = false;
    for (let more = 0; more < 200 && !isRefused; more += 1) {
      isRefused = await openConnection(connectionString).then(
        () => false,
        () => true,
      );
    }
    assert.ok(isRefused);
  });
});
