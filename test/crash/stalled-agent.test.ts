import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/util/clock.ts';
import { fenceMs, settlementMs } from '../../src/namespaces/timing.ts';
import { openStore } from '../../src/store/open-store.ts';
import { startAgentProcess } from '../support/agent-process.ts';
import { makeInstallation, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import {
  assertCredentialsWork,
  assertNamespaceIsComplete,
  listAccounts,
  openPatientRpc,
} from '../support/claim-assertions.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';

/** The fence is an eighth of it, 1 s: calls take less even on a busy machine. */
const SETTINGS = { rotationIntervalSeconds: 8 };
const INTERVALS = { rotationMs: 8000, defaultLifetimeMs: 0, maxLifetimeMs: 0, handshakeMs: 1000 };
const FENCE_MS = fenceMs(INTERVALS);

describe('an agent that stalls between reading a record and writing its account', () => {
  useSharedBroker();
  const mongodb = useSharedMongoDB();

  for (const { title, afterStall } of [
    { title: 'writes nothing when the other agent has made the account', afterStall: async () => {} },
    { title: 'does not break the credentials of the next incarnation', afterStall: deleteIncarnation },
  ]) {
    it(`${title}, and answers with the current state`, async function () {
      this.timeout(90_000);
      const installation = await makeInstallation({
        settings: SETTINGS,
        environment: { STORE_URL: mongoDatabase(mongodb()) },
      });
      const stalled = await startAgentProcess(installation.environment);
      const rpc = await openPatientRpc(installation);
      const namespace = teamNamespace();

      await stalled.arm('management.putUser', 'before', 'SIGSTOP');
      const late = rpc.request('claim-namespace', { namespace });
      late.catch(() => undefined);
      await stalled.signalled('SIGSTOP');
      const stoppedMs = performance.now();

      const other = await startAgentProcess(installation.environment);
      await afterStall(installation, namespace);
      // The broker still delivers half of the requests to the stalled agent, so this one is sent twice.
      const claimed = await Promise.any([1, 2].map(() => rpc.request('claim-namespace', { namespace })));
      await assertCredentialsWork(claimed);
      const before = await listAccounts(installation, namespace);

      // No event marks the end of a time in which nothing may happen.
      await delay(Math.max(0, stoppedMs + FENCE_MS + 100 - performance.now()));
      await stalled.resume();
      const answer = await late;
      assert.equal(answer.connectionString, claimed.connectionString);
      assert.equal(answer.created, claimed.created);
      assert.deepEqual(await listAccounts(installation, namespace), before, 'the late write should not be sent');
      await assertNamespaceIsComplete(installation, rpc, claimed);
      await stalled.stop();
      await other.stop();
    });
  }
});

/** Deletes the incarnation that the stalled agent has read, and its tombstone, as an expiry would. */
async function deleteIncarnation({ environment }: TestInstallation, namespace: string): Promise<void> {
  const store = await openStore(environment['STORE_URL'] ?? '', { clock: systemClock, randomBytes });
  try {
    const record = await store.namespaces.get(namespace);
    assert.ok(record !== undefined);
    const tombstone = {
      ...record,
      revision: record.revision + 1,
      state: 'deleted' as const,
      deletedAtMs: Date.now() - settlementMs(INTERVALS),
    };
    assert.ok(await store.namespaces.replace(tombstone, record.revision));
  } finally {
    await store.close();
  }
}
