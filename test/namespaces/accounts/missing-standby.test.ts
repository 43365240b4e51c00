import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import { AgentError } from '../../../src/util/agent-errors.ts';
import { teamNamespace } from '../../support/agent.ts';
import { BROKER_START_MS, manage, useSharedBroker } from '../../support/broker.ts';
import { makeNamespaceRoom } from '../../support/namespace-room.ts';

const { signal } = new AbortController();

describe('a standby account that another user deleted', function () {
  this.timeout(BROKER_START_MS);
  useSharedBroker();

  it('has its permissions after the next rotation, although the agent of the previous one died after it created the user', async () => {
    const room = await makeNamespaceRoom({ rotationIntervalSeconds: 600 });
    const { store, broker, config } = room;
    let isFailing = false;
    const dying = room.addAgent({
      around: async (step, call) => {
        if (isFailing && step === 'management.putPermissions') throw new AgentError('BrokerUnavailable', 'By a test.');
        return await call();
      },
    });
    const other = room.addAgent();
    const namespace = teamNamespace();
    await dying.claim(namespace);
    const recordNow = () => store.peek(namespace) ?? assert.fail();
    /** Ends all promises. */
    const makeDue = (): void => {
      const record = recordNow();
      const [first, second] = record.slots;
      const slots = [
        { ...first, promisedUntilMs: 0 },
        { ...second, promisedUntilMs: 0 },
      ] as const;
      store.put({ ...record, slots, nextRotationMs: 0 });
    };
    for (let rotations = 0; rotations < 2; rotations += 1) {
      makeDue();
      await other.rotation.sweep(signal);
    }
    assert.equal(recordNow().generation, 3);

    await manage(broker, 'DELETE', `/users/${config.usernamePrefix}${namespace}-2`);
    makeDue();
    await other.reconcile(signal);
    isFailing = true;
    await dying.rotation.sweep(signal);
    assert.equal(recordNow().generation, 3);
    await other.rotation.sweep(signal);
    assert.equal(recordNow().generation, 4);
    await (await connect((await other.claim(namespace)).connectionString)).close();
    assert.deepEqual(
      other.events.filter(({ type }) => type === 'account.repaired'),
      [],
    );
  });
});
