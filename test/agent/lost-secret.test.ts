import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { WireError } from '../../src/contract/wire-errors.ts';
import { idOfSecret } from '../../src/namespaces/accounts/keyring.ts';
import { openStoreToRead } from '../../src/store/open-store-to-read.ts';
import { Secret } from '../../src/util/secret.ts';
import { makeInstallation, REVOKER, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { assertCredentialsWork } from '../support/claim-assertions.ts';
import { runCommandLine } from '../support/command-line.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';

/** A rotation interval, in s: within two of them agents rotate what they can. */
const ROTATION_S = 4;

/** Claims until the error is not retryable; returns that. */
async function claimUntilRefused(claim: () => Promise<unknown>): Promise<WireError> {
  for (;;) {
    const error: unknown = await claim().then(
      () => assert.fail('The claim succeeded.'),
      (refused: unknown) => refused,
    );
    assert.ok(error instanceof WireError);
    if (!error.retryable) return error;
    assert.equal(error.code, 'Unavailable');
  }
}

describe('a lost agent secret', function () {
  this.timeout(BROKER_START_MS);
  const mongodb = useSharedMongoDB();

  const stateOf = async ({ environment }: TestInstallation, namespace: string) => {
    const store = await openStoreToRead(environment['STORE_URL'] ?? '');
    try {
      return await store.namespaces.get(namespace);
    } finally {
      await store.close();
    }
  };

  concurrentTests((it) => {
    for (const kind of ['LMDB', 'MongoDB'] as const) {
      it(`is retryable while another agent may have it, then names the cure, which works (${kind})`, async () => {
        const installation = await makeInstallation({
          settings: { rotationIntervalSeconds: ROTATION_S },
          environment: kind === 'LMDB' ? {} : { STORE_URL: mongoDatabase(mongodb()) },
        });
        const { environment } = installation;
        const secretId = idOfSecret(new Secret(environment['PULSE_AGENT_SECRET'] ?? ''));
        const [active, unfinished] = [teamNamespace(), teamNamespace()];
        const older = await installation.start();
        const rpc = await installation.rpc(TEAM);
        for (const namespace of [active, unfinished]) await rpc.request('claim-namespace', { namespace });
        await older.stop();
        // A revocation whose agent died in the middle: no rotation replaces its secret.
        const cut = await installation.start({
          wrapManagement: (management) => ({ ...management, putUser: () => Promise.reject(new Error('It dies.')) }),
        });
        const operator = await installation.rpc(REVOKER);
        await assert.rejects(operator.request('revoke-namespace', { namespace: unfinished }));
        await cut.stop();

        const newSecret = { PULSE_AGENT_SECRET: randomBytes(33).toString('base64') };
        const before = await stateOf(installation, unfinished);
        const agent = await installation.start({ environment: newSecret });
        const claim = async (namespace: string): Promise<unknown> => {
          const expires = new Date(Date.now() + 86_400_000).toISOString();
          return await rpc.request('claim-namespace', { namespace, expires, contact: 'new@example.com' });
        };
        await assert.rejects(claim(unfinished), (error) => {
          assert.ok(error instanceof WireError);
          assert.deepEqual([error.code, error.retryable, error.details], ['Unavailable', true, { secretId }]);
          return true;
        });
        // A claim that fails promises nothing.
        assert.deepEqual(await stateOf(installation, unfinished), before);

        // Agents cure the active one: a rotation replaces the secret.
        await installation.logged('namespace_rotated', { namespace: active });
        await assertCredentialsWork(await rpc.request('claim-namespace', { namespace: active }));

        const lost = await claimUntilRefused(() => claim(unfinished));
        assert.equal(lost.code, 'RequestConflict');
        assert.equal(lost.details?.['secretId'], secretId);
        assert.match(lost.message, new RegExp(`pulse-agent revoke --direct ${unfinished}`));

        if (kind === 'LMDB') await agent.stop();
        const revoked = await runCommandLine(['revoke', '--direct', unfinished, '--yes'], {
          ...environment,
          ...newSecret,
        });
        assert.equal(await revoked.exited, 0, revoked.stderr());
        if (kind === 'LMDB') await installation.start({ environment: newSecret });
        await assertCredentialsWork(await rpc.request('claim-namespace', { namespace: unfinished }));
      });
    }

    it('is not taken for lost while one of two agents has it', async () => {
      const environment = { STORE_URL: mongoDatabase(mongodb()) };
      const installation = await makeInstallation({ settings: { rotationIntervalSeconds: ROTATION_S }, environment });
      const secretId = idOfSecret(new Secret(installation.environment['PULSE_AGENT_SECRET'] ?? ''));
      await installation.start();
      const store = await openStoreToRead(environment.STORE_URL);
      try {
        const rpc = await installation.rpc(TEAM);
        const namespace = teamNamespace();
        await rpc.request('claim-namespace', { namespace });
        await installation.start({ environment: { PULSE_AGENT_SECRET: randomBytes(33).toString('base64') } });
        const untilMs = Date.now() + 3 * ROTATION_S * 1000;
        let served = 0;
        while (Date.now() < untilMs) {
          // The one that lacks the secret leaves the claim to the other one.
          await rpc.request('claim-namespace', { namespace }).then(
            () => (served += 1),
            (error: unknown) => {
              assert.ok(error instanceof WireError);
              assert.equal(error.retryable, true);
            },
          );
        }
        assert.ok(served > 0);
        const sighting = await store.secretSightings.get(secretId);
        assert.ok(sighting?.heldMs);
        assert.ok(sighting.heldMs > untilMs - 2 * ROTATION_S * 1000);
      } finally {
        await store.close();
      }
    });
  });
});
