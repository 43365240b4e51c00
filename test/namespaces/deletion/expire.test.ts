import assert from 'node:assert/strict';
import { teamNamespace } from '../../support/agent.ts';
import { BROKER_START_MS } from '../../support/broker.ts';
import { makeNamespaceRoom } from '../../support/namespace-room.ts';

const never = new AbortController().signal;

describe('the announcement of an expiry', () => {
  it('comes once, however many agents check, and again only after another claim', async function () {
    this.timeout(BROKER_START_MS);
    const room = await makeNamespaceRoom({ expiryAnnouncementSeconds: 600, defaultLifetimeSeconds: 500 });
    const agents = [room.addAgent(), room.addAgent(), room.addAgent()];
    const [first] = agents;
    assert.ok(first !== undefined);
    const namespace = teamNamespace();
    const reported = () =>
      agents.flatMap(({ events }) =>
        events.filter(({ type }) => type === 'namespace.expiring').map(({ data }) => data['expires']),
      );
    const announceOnAll = async () => {
      for (let times = 0; times < 3; times += 1) {
        await Promise.all(agents.map((agent) => agent.expiry.announce(never)));
        await Promise.all(agents.map((agent) => agent.expiry.sweep(never)));
      }
    };
    await first.claim(namespace);
    const firstEnd = room.store.peek(namespace)?.expiresMs ?? 0;
    await announceOnAll();
    assert.deepEqual(reported(), [new Date(firstEnd).toISOString()]);
    await first.claim(namespace, firstEnd + 60_000);
    await announceOnAll();
    assert.deepEqual(reported(), [new Date(firstEnd).toISOString(), new Date(firstEnd + 60_000).toISOString()]);

    // One that was not announced, because no agent ran, is announced when its deletion starts.
    const record = room.store.peek(namespace) ?? assert.fail();
    room.store.put({ ...record, expiresMs: Date.now() - 3_600_000, expiryAnnouncedForMs: 0 });
    await announceOnAll();
    assert.equal(reported().length, 3);
    assert.equal(room.store.peek(namespace)?.state, 'deleted');
  });
});
