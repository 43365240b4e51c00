import assert from 'node:assert/strict';
import { UNGUARDED } from '../../../src/broker/cluster.ts';
import type { Config } from '../../../src/config/config.ts';
import { createKeyring } from '../../../src/namespaces/accounts/keyring.ts';
import { createClockBounds } from '../../../src/namespaces/clock-bounds.ts';
import { createRepair } from '../../../src/namespaces/reconciliation/repair.ts';
import { Secret } from '../../../src/util/secret.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { partial } from '../../support/partial.ts';
import { recordOf } from '../../support/records.ts';

const HOUR = 3_600_000;
const never = new AbortController().signal;

/** A repair that may touch nothing on the broker. */
function setUp() {
  const clock = createManualClock();
  const store = createMemoryStore();
  const steps: string[] = [];
  const intervals = { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 };
  const repair = createRepair(
    {
      config: partial<Config>({ id: 'pulse-agent', usernamePrefix: '', vhost: '/', accountLimits: {} }),
      store: store.namespaces,
      storeId: store.storeId,
      management: partial({}),
      cluster: UNGUARDED,
      accounts: partial({}),
      keyring: createKeyring(new Secret('s'.repeat(32)), []),
      clock,
      bounds: createClockBounds(clock, intervals, () => undefined),
      sleep: () => assert.fail('It waits.'),
      random: () => 0,
      intervals,
      reporters: partial({}),
    },
    {
      checkPassword: () => assert.fail('A password is checked.'),
      revoker: {
        async finish(namespace) {
          steps.push(`finish ${namespace}`);
        },
      },
      leftovers: {
        async deleteIfAccountExists({ namespace }) {
          steps.push(`clear ${namespace}`);
          return true;
        },
      },
    },
  );
  return { clock, store, steps, repair };
}

describe('repair', () => {
  it('leaves passwords to a revocation until its recheck is done, which also closes connections', async () => {
    const { clock, store, steps, repair } = setUp();
    store.put(recordOf(clock.nowMs(), { recheckAtMs: clock.nowMs() + 1 }));
    assert.equal(await repair('taskcluster-x', never), false);
    assert.deepEqual(steps, ['finish taskcluster-x']);
  });

  it('deletes leftovers of a tombstone only when no late write can arrive any more', async () => {
    const { clock, store, steps, repair } = setUp();
    store.put(recordOf(clock.nowMs(), { state: 'deleted', deletedAtMs: clock.nowMs() }));
    clock.advance(29_999);
    assert.equal(await repair('taskcluster-x', never), false);
    clock.advance(1);
    assert.equal(await repair('taskcluster-x', never), true);
    assert.deepEqual(steps, ['clear taskcluster-x']);
  });
});
