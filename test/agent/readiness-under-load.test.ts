import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { TaskclusterAuth } from '../../src/requests/taskcluster-auth.ts';
import { PROBE_EVERY_MS, PROBE_PATIENCE_MS } from '../../src/requests/round-trip.ts';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { healthOf, scrape, untilHealth } from '../support/agent-http.ts';
import { useSharedBroker } from '../support/broker.ts';

/** An auth service that takes this long for each request, in ms, and refuses it. */
const AUTH_MS = 500;
const slowAuth: TaskclusterAuth = {
  async authenticate() {
    await delay(AUTH_MS);
    return { status: 'auth-failed', message: 'By a test.' };
  },
  probe: async () => await Promise.resolve(),
  close: () => undefined,
};

const PREFETCH = 4;
/** Longer than a probe may be late. */
const OVERLOAD_MS = PROBE_EVERY_MS + 2 * PROBE_PATIENCE_MS;

describe('the readiness of an agent', function () {
  this.timeout(120_000);
  useSharedBroker();

  it('stays while a flood keeps its own request waiting, as it replies to one request after the other', async () => {
    const settings = { httpPort: 0, requestPrefetch: PREFETCH };
    const installation = await makeInstallation({ settings });
    const agent = await installation.start({ authenticator: slowAuth });
    await untilHealth(agent, ({ ready }) => ready);
    const requester = await installation.requester();
    const credentials = installation.taskcluster.credentials(TEAM);
    const requests = Array.from({ length: (4 * OVERLOAD_MS * PREFETCH) / AUTH_MS }, () =>
      requester.compose({ method: 'claim-namespace', body: { namespace: teamNamespace() }, credentials }),
    );
    await Promise.all(requests.map((request) => requester.publish(request)));
    const answered = async (): Promise<number> =>
      (await scrape(agent)).get('pulse_agent_request_probe_duration_seconds_count') ?? 0;
    const before = await answered();
    const untilMs = performance.now() + OVERLOAD_MS;
    while (performance.now() < untilMs) {
      const { status, parts } = await healthOf(agent);
      assert.equal(status, 200, JSON.stringify(parts['round-trip']));
      await delay(200);
    }
    assert.ok((await answered()) - before <= 1, 'its own requests wait in the queue');
  });

  it('leaves no request to itself behind when it stops', async () => {
    const installation = await makeInstallation({ settings: { httpPort: 0 } });
    const agent = await installation.start();
    await untilHealth(agent, ({ ready }) => ready);
    await agent.stop();
    const admin = await (await installation.requester(installation.vhost.requestUrl)).connection.createChannel();
    const { names } = installation;
    for (const queue of [names.requestQueue, names.deadQueue]) {
      assert.equal((await admin.checkQueue(queue)).messageCount, 0, queue);
    }
  });
});
