import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, rmSync } from 'node:fs';
import { openManagement } from '../../src/broker/management/open-management.ts';
import { claimBroker } from '../../src/broker/marker.ts';
import type { Rpc } from '../../src/client/rpc.ts';
import { systemClock } from '../../src/util/clock.ts';
import { openStore } from '../../src/store/open-store.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, openConnection } from '../support/broker.ts';
import { assertCredentialsWork, assertHonoured, type Claimed, openPatientRpc } from '../support/claim-assertions.ts';
import { objectsOf, declareObjects } from '../support/namespace-lifecycle.ts';
import { linesWith } from '../support/test-log.ts';

describe('a store', function () {
  this.timeout(BROKER_START_MS);

  it('from a backup interrupts no client: its records are advanced, unknown users are logged, and a claim restores them', async () => {
    const installation = await makeInstallation({ settings: { rotationIntervalSeconds: 6 } });
    const folder = installation.config.storeUrl.reveal().slice('lmdb:'.length);
    const [old, unclaimed] = [teamNamespace(), teamNamespace()];
    let agent = await installation.start();
    const rpc = await openPatientRpc(installation, TEAM);
    const first = await claim(rpc, old);
    await agent.stop();
    cpSync(folder, `${folder}-backup`, { recursive: true });

    agent = await installation.start();
    await installation.logged('namespace_rotated', { namespace: old, generation: 3 });
    const before = await claim(rpc, old);
    const later = await claim(rpc, unclaimed);
    await declareObjects(await openConnection(before.connectionString), old);
    await declareObjects(await openConnection(later.connectionString), unclaimed);
    await agent.stop();
    rmSync(folder, { recursive: true });
    cpSync(`${folder}-backup`, folder, { recursive: true });

    const logged = installation.log.length;
    await installation.start();
    const lines = installation.log.slice(logged);
    assert.ok(linesWith(lines, 'record_advanced', { namespace: old }).length > 0);
    assert.ok(linesWith(lines, 'unknown_users', { users: RegExp(`${unclaimed}-1`) }).length > 0);
    await assertHonoured(before, assertCredentialsWork);
    // Until when its password was promised is unknown, so it works until the next claim.
    await assertCredentialsWork(later);
    const again = await claim(rpc, old);
    assert.notEqual(again.connectionString, first.connectionString);
    await assertCredentialsWork(again);
    await assertHonoured(before, assertCredentialsWork);
    const restored = await claim(rpc, unclaimed);
    await assertCredentialsWork(restored);
    for (const namespace of [old, unclaimed]) {
      assert.ok((await objectsOf(installation, namespace)).includes(`queue/${namespace}/one`), 'no queue is lost');
    }
  });

  it('that was lost is reported in a sentence; after `adopt` a new one takes over, and claims restore the namespaces', async () => {
    const installation = await makeInstallation({ settings: { rotationIntervalSeconds: 600 } });
    const folder = installation.config.storeUrl.reveal().slice('lmdb:'.length);
    const namespace = teamNamespace();
    const agent = await installation.start();
    const rpc = await openPatientRpc(installation, TEAM);
    const before = await claim(rpc, namespace);
    await declareObjects(await openConnection(before.connectionString), namespace);
    await agent.stop();
    rmSync(folder, { recursive: true });

    await assert.rejects(installation.start(), /marked since .* by the store .* run "pulse-agent adopt"/);
    await assertCredentialsWork(before);
    await adopt(installation);
    await installation.start();
    assert.ok(linesWith(installation.log, 'unknown_users', { users: RegExp(`${namespace}-1`) }).length > 0);
    await assertCredentialsWork(before);
    const again = await claim(rpc, namespace);
    assert.notEqual(again.connectionString, before.connectionString);
    await assertCredentialsWork(again);
    assert.ok((await objectsOf(installation, namespace)).includes(`queue/${namespace}/one`));
  });
});

async function claim(rpc: Rpc, namespace: string): Promise<Claimed> {
  return await rpc.request('claim-namespace', { namespace });
}

/** Does what `pulse-agent adopt` does. */
async function adopt({ config }: TestInstallation): Promise<void> {
  const management = openManagement(config);
  const store = await openStore(config.storeUrl.reveal(), { clock: systemClock, randomBytes });
  try {
    await claimBroker(management, { ...config, storeId: store.storeId, adopt: true }, systemClock);
  } finally {
    await store.close();
    management.close();
  }
}
