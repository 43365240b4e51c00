import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Rpc } from '../../src/client/rpc.ts';
import { systemClock } from '../../src/util/clock.ts';
import { nameReusableMs } from '../../src/namespaces/timing.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { Store } from '../../src/store/store.ts';
import { type AgentProcess, startAgentProcess } from '../support/agent-process.ts';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import {
  assertCredentialsWork,
  assertHonoured,
  type Claimed,
  listAccounts,
  openPatientRpc,
} from '../support/claim-assertions.ts';
import { objectsOf, openAndAwaitClose, declareObjects } from '../support/namespace-lifecycle.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';

/** Longer than a job lock lasts, in ms. */
const LONGER_THAN_LOCKS_MS = 4_500;

const INTERVALS = { rotationMs: 4000, defaultLifetimeMs: 0, maxLifetimeMs: 0, handshakeMs: 1000 };

describe('an agent that stalls for longer than any lock', function () {
  this.timeout(120_000);
  useSharedBroker();
  const mongodb = useSharedMongoDB();

  const setUp = async () => {
    const environment = { STORE_URL: mongoDatabase(mongodb()) };
    const installation = await makeInstallation({ settings: { rotationIntervalSeconds: 4 }, environment });
    const store = await openStore(environment.STORE_URL, { clock: systemClock, randomBytes });
    addCleanup(() => store.close());
    const stalled = await startAgentProcess(installation.environment);
    const rpc = await openPatientRpc(installation, TEAM);
    const namespace = teamNamespace();
    const claimed = await rpc.request('claim-namespace', { namespace });
    return { installation, store, stalled, rpc, namespace, claimed };
  };

  concurrentTests((it) => {
    it('during a rotation does not overwrite later rotations', async () => {
      const { installation, store, stalled, rpc, namespace, claimed } = await setUp();
      await stalled.arm('management.putUser', 'before', 'SIGSTOP', namespace);
      await stalled.signalled('SIGSTOP');
      const stalledMs = performance.now();
      const other = await startAgentProcess(installation.environment);
      const given = [claimed];
      // Its write is for the account of the fourth generation.
      for (const generation of [2, 3, 4]) {
        await untilRecord(other, store, namespace, (record) => record.generation >= generation);
        given.push(await claimOfEither(rpc, namespace));
        for (const each of given) await assertHonoured(each);
      }
      assert.ok(performance.now() - stalledMs > LONGER_THAN_LOCKS_MS);
      const before = await listAccounts(installation, namespace);
      const generation = (await store.namespaces.get(namespace))?.generation;
      await stalled.resume();
      if ((await store.namespaces.get(namespace))?.generation === generation) {
        assert.deepEqual(await listAccounts(installation, namespace), before);
      }
      for (const each of given) await assertHonoured(each);
      const last = await rpc.request('claim-namespace', { namespace });
      await assertCredentialsWork(last);
      await stalled.stop();
      await other.stop();
    });

    it('during a deletion does not touch the next incarnation', async () => {
      const { installation, store, stalled, rpc, namespace, claimed } = await setUp();
      await declareObjects((await openAndAwaitClose(claimed.connectionString)).connection, namespace);
      await stalled.arm('management.deleteQueue', 'before', 'SIGSTOP', namespace);
      await rpc.request('release-namespace', { namespace });
      await stalled.signalled('SIGSTOP');
      const stalledMs = performance.now();
      const other = await startAgentProcess(installation.environment);
      const { deletedAtMs } = await untilRecord(other, store, namespace, ({ state }) => state === 'deleted');
      // No event marks the end of a time: here the one during which the name may not be claimed, which is below every lock.
      await sleep(Math.max(0, nameReusableMs(deletedAtMs ?? 0, INTERVALS) + 50 - Date.now()));
      const next = await claimOfEither(rpc, namespace);
      assert.notEqual(next.connectionString, claimed.connectionString);
      await declareObjects(await openConnection(next.connectionString), namespace);
      await sleep(Math.max(0, stalledMs + LONGER_THAN_LOCKS_MS - performance.now()));
      const queues = async () => (await objectsOf(installation, namespace)).filter((name) => name.includes('/'));
      const before = await queues();
      assert.equal(before.length, 3);
      await stalled.resume();
      assert.deepEqual(await queues(), before);
      assert.equal((await store.namespaces.get(namespace))?.state, 'active');
      await assertHonoured(next);
      await assertCredentialsWork(await rpc.request('claim-namespace', { namespace }));
      await stalled.stop();
      assert.deepEqual(await queues(), before, 'what it went on with should touch nothing either');
      await other.stop();
    });
  });
});

async function untilRecord(
  agent: AgentProcess,
  { namespaces }: Store,
  namespace: string,
  isSo: (record: NamespaceRecord) => boolean,
): Promise<NamespaceRecord> {
  return await agent.until(async () => {
    const record = await namespaces.get(namespace);
    return record !== undefined && isSo(record) ? record : undefined;
  });
}

/** The broker still delivers half of the requests to the stalled agent: of two in a row the other one gets one. */
async function claimOfEither(rpc: Rpc, namespace: string): Promise<Claimed> {
  return await Promise.any([1, 2].map(() => rpc.request('claim-namespace', { namespace })));
}
