import assert from 'node:assert/strict';
import { createKeyring } from '../../../src/namespaces/accounts/keyring.ts';
import { createRepair } from '../../../src/namespaces/reconciliation/repair.ts';
import { Secret } from '../../../src/util/secret.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { recordOf } from '../../support/records.ts';

const HOUR = 3_600_000;
const never = new AbortController().signal;

/** A repair that may touch nothing on the broker. */
function setUp() {
  const clock = createManualClock();
  const store = createMemoryStore();
  const steps: string[] = [];
  const touches = (): never => assert.fail('The broker was asked.');
  const repair = createRepair({
    store: store.namespaces,
    management: {
      getUser: touches,
      getPermissions: touches,
      getUserLimits: touches,
      putPermissions: touches,
      putUserLimit: touches,
      deleteUserLimit: touches,
      listUserConnections: touches,
      closeUserConnections: touches,
    },
    accounts: { provision: touches },
    check: touches,
    keyring: createKeyring(new Secret('s'.repeat(32)), []),
    clock,
    bounds: { earliestMs: () => clock.nowMs(), latestMs: () => clock.nowMs() },
    sleep: touches,
    random: () => 0,
    intervals: { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 },
    settings: { agentId: 'pulse-agent', usernamePrefix: '', vhost: '/', limits: {} },
    async finishRevocation(namespace) {
      steps.push(`finish ${namespace}`);
    },
    async clearLeftovers({ namespace }) {
      steps.push(`clear ${namespace}`);
      return true;
    },
    onRepaired: touches,
    onAdvanced: touches,
  });
  return { clock, store, steps, repair };
}

describe('repair', () => {
  it('leaves passwords to a revocation until its last comparison is done: that closes connections, too', async () => {
    const { clock, store, steps, repair } = setUp();
    store.put(recordOf(clock.nowMs(), { recheckAtMs: clock.nowMs() + 1 }));
    assert.equal(await repair('taskcluster-x', never), false);
    assert.deepEqual(steps, ['finish taskcluster-x']);
  });

  it('looks for leftovers of a tombstone only when no late write can arrive any more', async () => {
    const { clock, store, steps, repair } = setUp();
    store.put(recordOf(clock.nowMs(), { state: 'deleted', deletedAtMs: clock.nowMs() }));
    clock.advance(29_999);
    assert.equal(await repair('taskcluster-x', never), false);
    clock.advance(1);
    assert.equal(await repair('taskcluster-x', never), true);
    assert.deepEqual(steps, ['clear taskcluster-x']);
  });
});
