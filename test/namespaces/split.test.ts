import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import { type ClusterGate, UNGUARDED } from '../../src/broker/cluster.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { teamNamespace } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { makeNamespaceRoom } from '../support/namespace-room.ts';

const { signal } = new AbortController();

/** A gate that a test opens and closes. */
function makeGate() {
  const state = { isSplit: false };
  const assertPermitted = (): void => {
    if (state.isSplit) throw new AgentError('BrokerSplit', 'By a test.');
  };
  const cluster: ClusterGate = {
    ...UNGUARDED,
    async permit(until) {
      assertPermitted();
      return await UNGUARDED.permit(until);
    },
    async confirm(since, until) {
      assertPermitted();
      return await UNGUARDED.confirm(since, until);
    },
    assertPermitted,
    isOpen: async () => await Promise.resolve(!state.isSplit),
  };
  return { state, cluster };
}

describe('namespaces while RabbitMQ is split', function () {
  this.timeout(60_000);
  useSharedBroker();

  const setUp = async () => {
    const room = await makeNamespaceRoom({ rotationIntervalSeconds: 8 });
    const { state, cluster } = makeGate();
    const agent = room.addAgent({ cluster });
    const namespace = teamNamespace();
    const { connectionString } = await agent.claim(namespace);
    state.isSplit = true;
    return { ...room, state, agent, namespace, connectionString };
  };

  it('are claimed again, and none is claimed for the first time: nothing is written then', async () => {
    const { store, agent, namespace, connectionString } = await setUp();
    assert.equal((await agent.claim(namespace)).connectionString, connectionString);
    const another = teamNamespace();
    await assert.rejects(agent.claim(another), { code: 'BrokerSplit' });
    assert.equal(store.peek(another), undefined);
  });

  it('are not rotated, repaired or deleted, and no record follows what one side has', async () => {
    const { store, agent, namespace, config, state } = await setUp();
    const record = store.peek(namespace) ?? assert.fail();
    store.put({ ...record, nextRotationMs: 0 });
    await agent.rotation.sweep(signal);
    await agent.management.deleteUser(`${config.usernamePrefix}${namespace}-1`);
    await assert.rejects(agent.repair(namespace, signal), { code: 'BrokerSplit' });
    assert.deepEqual(store.peek(namespace), { ...record, nextRotationMs: 0 });
    store.put({ ...record, state: 'expiring', deletionReason: 'released' });
    await assert.rejects(agent.delete([namespace], signal), { code: 'BrokerSplit' });
    assert.equal(store.peek(namespace)?.state, 'expiring');

    state.isSplit = false;
    await agent.delete([namespace], signal);
    assert.equal(store.peek(namespace)?.state, 'deleted');
  });

  it('are revoked where the agent reaches them, and handed out again when all nodes have that', async () => {
    const { store, agent, namespace, connectionString, state } = await setUp();
    const nonce = { key: 'key', outcome: null, firstSeenMs: Date.now() };
    const revocation = { namespace, untilMs: undefined, nonce };
    await assert.rejects(agent.revoker.revoke(revocation, signal), { code: 'BrokerSplit' });
    await assert.rejects(connect(connectionString), /403/);
    assert.equal(store.peek(namespace)?.state, 'provisioning');
    await assert.rejects(agent.claim(namespace), { code: 'BrokerSplit' });

    state.isSplit = false;
    await agent.revoker.finish(namespace, signal);
    const renewed = await agent.claim(namespace);
    await (await connect(renewed.connectionString)).close();
  });
});
