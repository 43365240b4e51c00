import assert from 'node:assert/strict';
import { createClusterWatch } from '../../src/broker/cluster.ts';
import { guardChanges } from '../../src/broker/management/guarded-changes.ts';
import type { ClusterNode, Management, ManagementCallOptions } from '../../src/broker/management/management.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { createManualClock } from '../support/manual-clock.ts';

const WHOLE: ClusterNode[] = ['a', 'b', 'c'].map((name) => ({ name, running: true, partitions: [] }));
const CUT_OFF: ClusterNode[] = WHOLE.map((node) => ({ ...node, running: node.name === 'a' }));

describe('changes while the cluster may be split', () => {
  const make = () => {
    const clock = createManualClock();
    const state = { nodes: WHOLE as ClusterNode[] | AgentError, listings: 0, sent: [] as string[] };
    const call =
      (name: string, position: number) =>
      async (...given: unknown[]) => {
        (given[position] as ManagementCallOptions | undefined)?.beforeSend?.();
        state.sent.push(name);
        return await Promise.resolve(true);
      };
    const real = {
      async listNodes() {
        state.listings += 1;
        if (state.nodes instanceof AgentError) throw state.nodes;
        return await Promise.resolve(state.nodes);
      },
      deleteUser: call('deleteUser', 1),
      deleteQueue: call('deleteQueue', 2),
      getUser: async () => await Promise.resolve(undefined),
    } as Partial<Management> as Management;
    const sleep = async (): Promise<void> => await Promise.reject(new Error('not started'));
    const cluster = createClusterWatch({ management: real, clock, sleep });
    return { clock, state, cluster, management: guardChanges(real, cluster) };
  };

  it('are sent while it is whole, with one listing for those of some seconds', async () => {
    const { clock, state, management } = make();
    await management.deleteUser('x');
    clock.advance(3000);
    await management.deleteQueue('/', 'q');
    assert.deepEqual([state.sent, state.listings], [['deleteUser', 'deleteQueue'], 1]);
    clock.advance(3000);
    await management.deleteUser('x');
    assert.equal(state.listings, 2);
  });

  it('are refused once it is split, while reads go on', async () => {
    const { state, management } = make();
    state.nodes = CUT_OFF;
    await assert.rejects(management.deleteUser('x'), { code: 'BrokerSplit' });
    assert.equal(await management.getUser('x'), undefined);
    assert.deepEqual(state.sent, []);
  });

  it('are sent all the same where the caller says so', async () => {
    const { state, management } = make();
    state.nodes = CUT_OFF;
    await management.deleteUser('x', { evenWhenSplit: true });
    assert.deepEqual([state.sent, state.listings], [['deleteUser'], 0]);
  });

  it('are refused when a split shows while they wait to be sent', async () => {
    const { clock, state, cluster, management } = make();
    await cluster.permit();
    const beforeSend = (): void => {
      // As after another listing, or as long without one.
      clock.advance(10_001);
    };
    await assert.rejects(management.deleteUser('x', { beforeSend }), { code: 'BrokerUnavailable' });
    assert.deepEqual(state.sent, []);
  });

  it('are refused while the nodes cannot be listed', async () => {
    const { clock, state, management } = make();
    await management.deleteUser('x');
    clock.advance(5000);
    state.nodes = new AgentError('BrokerUnavailable', 'By a test.');
    await assert.rejects(management.deleteUser('x'), { code: 'BrokerUnavailable', message: 'By a test.' });
  });

  it('are confirmed by a listing after them, which shows a cut right before them', async () => {
    const { state, cluster, management } = make();
    const { signal } = new AbortController();
    const since = await cluster.permit();
    await management.deleteUser('x');
    assert.equal(await cluster.confirm(since, signal), true);
    assert.equal(state.listings, 2);
    state.nodes = CUT_OFF;
    await management.deleteUser('y');
    await assert.rejects(cluster.confirm(since, signal), { code: 'BrokerSplit' });
  });

  it('are not confirmed when a side may have come and gone since the moment before them', async () => {
    const { clock, state, cluster, management } = make();
    const { signal } = new AbortController();
    const since = await cluster.permit();
    await management.deleteUser('x');
    state.nodes = CUT_OFF;
    await assert.rejects(cluster.confirm(since, signal), { code: 'BrokerSplit' });
    state.nodes = WHOLE;
    clock.advance(5_000);
    assert.equal(await cluster.confirm(since, signal), false);
    const again = await cluster.permit();
    await management.deleteUser('x');
    assert.equal(await cluster.confirm(again, signal), true);
  });

  it('share the listing that confirms them, which none of them began before', async () => {
    const { state, cluster } = make();
    const { signal } = new AbortController();
    const since = await cluster.permit();
    const confirm = (): Promise<boolean> => cluster.confirm(since, signal);
    const first = confirm();
    const others = [confirm(), confirm(), confirm()];
    assert.deepEqual(await Promise.all([first, ...others]), [true, true, true, true]);
    assert.equal(state.listings, 3);
  });

  it('need no confirmation on a single node', async () => {
    const { state, cluster } = make();
    state.nodes = WHOLE.slice(0, 1);
    const since = await cluster.permit();
    assert.equal(await cluster.confirm(since, new AbortController().signal), true);
    assert.equal(state.listings, 1);
  });
});
