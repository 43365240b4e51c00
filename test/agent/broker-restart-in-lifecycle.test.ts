import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { assertCredentialsWork, assertHonoured, type Claimed } from '../support/claim-assertions.ts';
import { makeFolder } from '../support/folders.ts';
import { objectsOf, openAndAwaitClose, declareObjects } from '../support/namespace-lifecycle.ts';
import { type Around, interceptManagement, interceptStore } from '../support/step-observer.ts';

/** Longer than the broker takes to restart: credentials from before must work afterwards. */
const ROTATION_MS = 16_000;

describe('a broker that is killed between a rotation and its record, and during a deletion', function () {
  this.timeout(120_000);
  let broker: LocalRabbitMQ;
  let installation: TestInstallation;
  /** Emits `step` for each call of the store. */
  const agent = new EventEmitter();
  let around: Around = (_step, call) => call();

  before('start a RabbitMQ of its own', async function () {
    this.timeout(BROKER_START_MS);
    broker = await startRabbitMQ({ folder: join(makeFolder('restart-in-lifecycle'), 'rabbitmq') });
    installation = await makeInstallation({
      broker,
      settings: { rotationIntervalSeconds: ROTATION_MS / 1000, expiryAnnouncementSeconds: 1 },
    });
    await installation.start({
      wrapStore: (store) =>
        interceptStore(store, (_step, call) => {
          agent.emit('step');
          return call();
        }),
      wrapManagement: (management) => interceptManagement(management, (...step) => around(...step)),
    });
  });
  after(async () => {
    await installation?.remove();
    await broker?.kill();
  });

  it('invalidates no credentials beyond the next reconciliation, and both are completed', async () => {
    const [living, ending] = [teamNamespace(), teamNamespace()];
    const rpc = await installation.rpc(TEAM);
    const claim = async (namespace: string, expires?: string): Promise<Claimed> =>
      await (await installation.rpc(TEAM)).request('claim-namespace', { namespace, ...(expires && { expires }) });
    const given = await rpc.request('claim-namespace', { namespace: living });
    const expires = new Date(Date.now() + 5_000).toISOString();
    const expiring = await openAndAwaitClose((await claim(ending, expires)).connectionString);
    await declareObjects(expiring.connection, ending);

    const held = new EventEmitter();
    const both = Promise.all([once(held, 'rotation'), once(held, 'deletion')]);
    const deleted = once(held, 'deleted');
    const hold = async (at: 'rotation' | 'deletion', call: () => Promise<unknown>): Promise<unknown> => {
      const result = await call();
      held.emit(at);
      await deleted;
      return result;
    };
    around = async (step, call, [name, second]) => {
      if (step === 'management.putUser' && String(name).includes(living)) return await hold('rotation', call);
      if (step === 'management.deleteQueue' && String(second).includes(ending)) return await hold('deletion', call);
      return await call();
    };
    await both;
    around = (_step, call) => call();
    await broker.kill();
    held.emit('deleted');
    await broker.start();

    // RabbitMQ may lose its latest changes when it is killed; the reconciliation repairs them.
    await assertHonoured(given).catch(() => installation.logged('account_repaired', { namespace: living }));
    while (Date.now() < Date.parse(given.reclaimAt)) {
      await assertHonoured(given);
      await once(agent, 'step');
    }
    await installation.logged('namespace_deleted', { namespace: ending });
    assert.deepEqual(await objectsOf(installation, ending), []);
    await expiring.closed;
    await installation.logged('namespace_rotated', { namespace: living });
    const renewed = await claim(living);
    assert.notEqual(renewed.connectionString, given.connectionString);
    await assertCredentialsWork(renewed);
  });
});
