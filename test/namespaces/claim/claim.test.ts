import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { WireError } from '../../../src/contract/wire-errors.ts';
import { AgentError, isAgentError } from '../../../src/util/agent-errors.ts';
import type { MemoryStore } from '../../support/memory-store.ts';
import { recordOf } from '../../support/records.ts';
import {
  assertCredentialsAccepted,
  claimInput,
  HOUR_MS,
  keyring,
  never,
  openClaimRoom,
} from '../../support/claim-room.ts';

describe('createClaim', () => {
  it('refuses a reserved namespace before anything else', async () => {
    const { steps, claimNamespace } = openClaimRoom();
    await assert.rejects(claimNamespace(claimInput({ namespace: 'taskcluster-reserved' }), never), {
      code: 'InputError',
      details: { field: 'namespace' },
    });
    assert.deepEqual(steps, []);
  });

  it('refuses a first claim of a client that holds as many namespaces as it may, also among many at the same time', async () => {
    const { store, refused, claimNamespace } = openClaimRoom(undefined, undefined, 3);
    const names = Array.from({ length: 20 }, (_, index) => `taskcluster-${index}`);
    const claims = await Promise.allSettled(names.map((namespace) => claimNamespace(claimInput({ namespace }), never)));
    const failed = claims.filter((one) => one.status === 'rejected');
    assert.equal(failed.length, 17);
    assert.equal(refused.length, 17);
    assert.equal(await store.namespaces.countHeldBy('project/x'), 3);
    const { reason } = failed[0] as PromiseRejectedResult;
    assert.ok(reason instanceof WireError);
    assert.deepEqual(
      [reason.code, reason.retryable, reason.details],
      ['RequestConflict', false, { limit: 3, held: 3 }],
    );
    // What it holds it may claim again, and another client may claim what it may not.
    await claimNamespace(claimInput({ namespace: 'taskcluster-0' }), never);
    await claimNamespace(claimInput({ namespace: 'taskcluster-19', claimedBy: 'project/y' }), never);
    // One that is deleted does not count.
    const held = store.peek('taskcluster-0');
    assert.ok(held !== undefined);
    store.put({ ...held, state: 'deleted' });
    await claimNamespace(claimInput({ namespace: 'taskcluster-18' }), never);
  });

  for (const [title, given] of [
    ['before its revocation is over', (nowMs: number) => ({ revokedUntilMs: nowMs + HOUR_MS })],
    ['right after its deletion', (nowMs: number) => ({ state: 'deleted' as const, deletedAtMs: nowMs })],
  ] as const) {
    it(`provisions nothing ${title} because the clock was set forward`, async () => {
      const { store, clock, steps, claimNamespace } = openClaimRoom();
      const nowMs = clock.nowMs();
      const { record } = await claimNamespace(claimInput(), never);
      store.put({ ...record, ...given(nowMs) });
      steps.length = 0;
      clock.setWall(nowMs + 2 * HOUR_MS);
      await assert.rejects(claimNamespace(claimInput(), never), { code: 'RequestConflict' });
      assert.deepEqual(steps, []);
      // By now the agent trusts the clock again.
      clock.advance(2 * HOUR_MS);
      await claimNamespace(claimInput(), never);
    });
  }

  it('writes the record, provisions the account, writes `active`, and only then answers', async () => {
    const agent = openClaimRoom();
    const result = await agent.claimNamespace(claimInput(), never);
    assert.deepEqual(agent.steps, [
      'check',
      'insert provisioning',
      'putUser taskcluster-x-1',
      'putPermissions taskcluster-x-1',
      'putPermissions taskcluster-x-1',
      'replace active',
    ]);
    assertCredentialsAccepted(agent, result);
    assert.deepEqual(result.record, agent.store.peek('taskcluster-x'));
    assert.equal(result.reclaimAtMs, agent.clock.nowMs() + HOUR_MS + HOUR_MS / 2);
    assert.match(result.connectionString, /^amqps:\/\/taskcluster-x-1:[\w-]{43}@pulse\.example\/%2F$/);
  });

  it('makes no call to the broker when the namespace is active, and hands out the same credentials', async () => {
    const agent = openClaimRoom();
    const first = await agent.claimNamespace(claimInput(), never);
    agent.steps.length = 0;
    agent.clock.advance(HOUR_MS);
    const again = await agent.claimNamespace(claimInput(), never);
    assert.deepEqual(agent.steps, ['replace active']);
    assert.equal(again.connectionString, first.connectionString);
    assert.ok(again.reclaimAtMs >= first.reclaimAtMs);
    assertCredentialsAccepted(agent, again);
  });

  it('writes nothing before the check of a first claim has passed', async () => {
    const agent = openClaimRoom();
    agent.parts.checkFirstClaim = () => Promise.reject(new WireError('RequestConflict', 'It exists.'));
    await assert.rejects(agent.claimNamespace(claimInput(), never), { code: 'RequestConflict' });
    agent.store.put(recordOf(0, { state: 'deleted', deletedAtMs: 0 }));
    await assert.rejects(agent.claimNamespace(claimInput(), never), { code: 'RequestConflict' });
    assert.deepEqual(agent.steps, ['check', 'check']);
  });

  it('does not check again after it died between the record and the account', async () => {
    const agent = openClaimRoom();
    agent.scripted.onCall = () => assert.fail('It dies.');
    await assert.rejects(agent.claimNamespace(claimInput(), never), /It dies/);
    agent.parts.checkFirstClaim = () => Promise.reject(new WireError('RequestConflict', 'It exists.'));
    agent.scripted.onCall = () => undefined;
    assertCredentialsAccepted(agent, await agent.claimNamespace(claimInput(), never));
  });

  it('finishes a revocation that was left unfinished, and hands out its credentials', async () => {
    const agent = openClaimRoom();
    const revoked = recordOf(agent.clock.nowMs(), {
      state: 'provisioning',
      generation: 3,
      slots: [
        { generation: 3, secretId: keyring.currentSecretId, promisedUntilMs: 0 },
        { generation: 2, secretId: keyring.currentSecretId, promisedUntilMs: 0 },
      ],
      recheckAtMs: agent.clock.nowMs() + 20_000,
    });
    agent.store.put(revoked);
    agent.parts.finishRevocation = async (namespace) => {
      agent.steps.push(`finish ${namespace}`);
      agent.store.put({ ...revoked, state: 'active', revision: revoked.revision + 1 });
    };
    const { record } = await agent.claimNamespace(claimInput(), never);
    assert.deepEqual(agent.steps, ['finish taskcluster-x', 'replace active']);
    assert.equal(record.generation, 3);
  });

  it('begins no incarnation while an account of the former one exists again', async () => {
    const agent = openClaimRoom();
    const tombstone = recordOf(0, { state: 'deleted', deletedAtMs: 0 });
    agent.store.put(tombstone);
    agent.parts.deleteLeftovers = async (record) => {
      agent.store.put({ ...record, state: 'expiring', deletedAtMs: null, revision: record.revision + 1 });
      return true;
    };
    await assert.rejects(agent.claimNamespace(claimInput(), never), { name: 'RequestConflict' });
    assert.deepEqual(agent.steps, ['check']);
    agent.parts.deleteLeftovers = async () => false;
    agent.store.put(tombstone);
    assertCredentialsAccepted(agent, await agent.claimNamespace(claimInput(), never));
  });

  it('hands out the active account', async () => {
    const agent = openClaimRoom();
    const now = agent.clock.nowMs();
    const slots = [
      { generation: 3, secretId: keyring.currentSecretId, promisedUntilMs: 1 },
      { generation: 4, secretId: keyring.currentSecretId, promisedUntilMs: 2 },
    ] as const;
    agent.store.put(recordOf(now, { generation: 4, slots }));
    const result = await agent.claimNamespace(claimInput(), never);
    assert.match(result.connectionString, /\/\/taskcluster-x-2:/);
    assert.equal(result.reclaimAtMs, now + HOUR_MS + HOUR_MS / 2);
  });

  it('returns which claim was the first of an incarnation, and which changed the holder', async () => {
    const agent = openClaimRoom();
    const reported = [];
    for (const claimedBy of ['project/x', 'project/x', 'project/y', 'project/x']) {
      const { isNew, isNewHolder } = await agent.claimNamespace(claimInput({ claimedBy }), never);
      reported.push([isNew, isNewHolder]);
    }
    assert.deepEqual(reported, [
      [true, true],
      [false, false],
      [false, true],
      [false, true],
    ]);
  });

  it('writes nothing for an `expires` that is past or too far', async () => {
    const agent = openClaimRoom();
    for (const expiresMs of [agent.clock.nowMs(), agent.clock.nowMs() + 745 * HOUR_MS]) {
      await assert.rejects(agent.claimNamespace(claimInput({ expiresMs }), never), { code: 'InputError' });
    }
    assert.deepEqual(agent.steps, []);
  });

  it('begins another incarnation in the place of a tombstone, with another password', async () => {
    const agent = openClaimRoom();
    const first = await agent.claimNamespace(claimInput(), never);
    const tombstone = { ...first.record, revision: 3, state: 'deleted' as const, deletedAtMs: agent.clock.nowMs() };
    agent.store.put(tombstone);
    await assert.rejects(agent.claimNamespace(claimInput(), never), { code: 'RequestConflict' });
    agent.clock.advance(30_000);
    const second = await agent.claimNamespace(claimInput(), never);
    assert.equal(second.record.revision, 5);
    assert.ok(second.isNew);
    assert.notEqual(second.record.incarnation, first.record.incarnation);
    assert.notEqual(second.connectionString, first.connectionString);
    assertCredentialsAccepted(agent, second);
  });

  it('reads the record again when the window closes before the account is written', async () => {
    const agent = openClaimRoom();
    let delayed = false;
    agent.scripted.onCall = ({ name }) => {
      if (name !== 'putPermissions' || delayed) return;
      delayed = true;
      agent.clock.advance(10_001);
    };
    const result = await agent.claimNamespace(claimInput(), never);
    assert.deepEqual(
      agent.scripted.calls.map(({ name }) => name),
      ['putUser', 'putUser', 'putPermissions', 'putPermissions'],
    );
    assertCredentialsAccepted(agent, result);
    assert.deepEqual([result.isNew, result.isNewHolder], [true, true]);
  });

  it('counts the write window from before the reading', async () => {
    const agent = openClaimRoom();
    let reads = 0;
    const slow: MemoryStore = {
      ...agent.store,
      namespaces: {
        ...agent.store.namespaces,
        async get(namespace) {
          const record = await agent.store.namespaces.get(namespace);
          reads += 1;
          if (reads === 1) later.clock.advance(10_001);
          return record;
        },
      },
    };
    const later = openClaimRoom(slow);
    await later.claimNamespace(claimInput(), never);
    assert.equal(reads, 2);
    assert.deepEqual(
      later.scripted.calls.map(({ name }) => name),
      ['putUser', 'putPermissions', 'putPermissions'],
    );
  });

  it('hands out nothing of a namespace whose deletion began in between', async () => {
    const agent = openClaimRoom();
    agent.scripted.onCall = () => {
      const record = agent.store.peek('taskcluster-x');
      assert.ok(record);
      agent.store.put({ ...record, revision: record.revision + 1, state: 'expiring' });
    };
    await assert.rejects(agent.claimNamespace(claimInput(), never), { code: 'RequestConflict' });
    assert.equal(agent.store.peek('taskcluster-x')?.state, 'expiring');
  });

  // A step that throws stands for an agent that dies before or after it.
  for (const step of ['insert', 'putUser', 'putPermissions', 'replace'] as const) {
    for (const when of ['before', 'after'] as const) {
      if (when === 'after' && step.startsWith('put')) continue;
      it(`hands out nothing when it fails ${when} ${step}, and the next claim works`, async () => {
        const agent = openClaimRoom();
        const failure = new AgentError('BrokerUnavailable', 'down');
        agent.hooks.aroundWrite = async (name, write) => {
          if (name === step && when === 'before') throw failure;
          const written = await write();
          if (name === step) throw failure;
          return written;
        };
        agent.scripted.onCall = ({ name }) => {
          if (name === step) throw failure;
        };
        await assert.rejects(agent.claimNamespace(claimInput(), never), failure);

        agent.hooks.aroundWrite = (_step, write) => write();
        agent.scripted.onCall = () => undefined;
        const result = await agent.claimNamespace(claimInput(), never);
        assertCredentialsAccepted(agent, result);
        // For the store only a claim that wrote `active` handed out credentials.
        assert.equal(result.isNew, !(step === 'replace' && when === 'after'));
      });
    }
  }

  it('fails with Contended when another writer is faster at every attempt', async () => {
    const agent = openClaimRoom();
    agent.hooks.aroundWrite = async () => false;
    await assert.rejects(agent.claimNamespace(claimInput(), never), (error) => isAgentError(error, 'Contended'));
  });

  it('stops when its signal is aborted', async () => {
    const agent = openClaimRoom();
    const controller = new AbortController();
    let tries = 0;
    agent.hooks.aroundWrite = async () => {
      tries += 1;
      if (tries === 3) controller.abort(new Error('too late'));
      return false;
    };
    await assert.rejects(agent.claimNamespace(claimInput(), controller.signal), /too late/);
    assert.equal(tries, 3);
  });

  for (const state of ['active', 'provisioning'] as const) {
    it(`fails with SecretMissing for an account that is ${state} and whose secret this agent lacks, and writes nothing`, async () => {
      const agent = openClaimRoom();
      const record = recordOf(agent.clock.nowMs(), { state });
      agent.store.put(record);
      const input = claimInput({ contact: 'a@example.com', expiresMs: agent.clock.nowMs() + 100 * HOUR_MS });
      await assert.rejects(agent.claimNamespace(input, never), (error) => isAgentError(error, 'SecretMissing'));
      assert.deepEqual(agent.steps, []);
      assert.deepEqual(agent.store.peek('taskcluster-x'), record);
    });
  }

  it('is not retryable, and says the cure, once no agent has had the secret for two rotation intervals', async () => {
    const agent = openClaimRoom();
    const record = recordOf(agent.clock.nowMs());
    agent.store.put(record);
    const asked: string[] = [];
    agent.parts.recordMissing = async (secretId) => {
      asked.push(secretId);
      return 1_000;
    };
    await assert.rejects(agent.claimNamespace(claimInput(), never), (error) => {
      assert.ok(error instanceof WireError);
      const details = { secretId: 'secret-1', missingSince: '1970-01-01T00:00:01.000Z' };
      assert.deepEqual([error.code, error.retryable, error.details], ['RequestConflict', false, details]);
      assert.match(error.message, /pulse-agent revoke --direct taskcluster-x/);
      assert.ok(isAgentError(error.cause, 'SecretMissing'));
      return true;
    });
    assert.deepEqual(asked, ['secret-1']);
    assert.deepEqual(agent.store.peek('taskcluster-x'), record);
    // What cannot be recorded changes nothing about the fault.
    agent.parts.recordMissing = async () => {
      throw new AgentError('StoreUnavailable', 'down');
    };
    await assert.rejects(agent.claimNamespace(claimInput(), never), (error) => isAgentError(error, 'SecretMissing'));
  });

  it('writes nothing after its signal was aborted, when the client has got an error', async () => {
    for (const state of ['active', 'provisioning'] as const) {
      const controller = new AbortController();
      const abort = () => controller.abort(new Error('too late'));
      const { store } = openClaimRoom();
      const slow: MemoryStore = {
        ...store,
        namespaces: {
          ...store.namespaces,
          async get(namespace) {
            const record = await store.namespaces.get(namespace);
            if (state === 'active') abort();
            return record;
          },
        },
      };
      const agent = openClaimRoom(slow);
      agent.scripted.onCall = abort;
      const own = { generation: 1, secretId: keyring.currentSecretId, promisedUntilMs: 0 };
      const record = recordOf(agent.clock.nowMs(), { state, slots: [own, { ...own, generation: 0 }] });
      store.put(record);
      await assert.rejects(agent.claimNamespace(claimInput(), controller.signal), /too late/);
      assert.deepEqual(store.peek('taskcluster-x'), record);
    }
  });

  it('answers 16 concurrent claims on two agents with the same working credentials, one of them as the first', async () => {
    const one = openClaimRoom();
    const two = openClaimRoom(one.store, one.scripted);
    // The broker answers after different times.
    one.scripted.onCall = async () => {
      for (let turns = randomBytes(1).readUInt8() % 5; turns > 0; turns -= 1) await turn();
    };
    const results = await Promise.all(
      Array.from({ length: 16 }, (_, n) => (n % 2 === 0 ? one : two).claimNamespace(claimInput(), never)),
    );
    assert.equal(new Set(results.map(({ connectionString }) => connectionString)).size, 1);
    assert.equal(results.filter(({ isNew }) => isNew).length, 1);
    for (const result of results) assertCredentialsAccepted(one, result);
  });

  it('throws wire errors unchanged', async () => {
    const agent = openClaimRoom();
    agent.store.put(recordOf(agent.clock.nowMs(), { state: 'expiring' }));
    await assert.rejects(agent.claimNamespace(claimInput(), never), WireError);
  });
});
