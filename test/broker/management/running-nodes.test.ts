import assert from 'node:assert/strict';
import { nodeNameHash } from '../../../src/broker/amqp/direct-reply-to.ts';
import { createRunningNodes } from '../../../src/broker/management/running-nodes.ts';

const make = () => {
  const state = { nowMs: 0, calls: 0, names: ['a@host'], down: false };
  const nodes = createRunningNodes({
    listNodes: async () => {
      state.calls += 1;
      if (state.down) throw new Error('down');
      return state.names.map((name) => ({ name, otpRelease: 25 }));
    },
    clock: { nowMs: () => state.nowMs, monotonicMs: () => state.nowMs },
    minRefreshMs: 1000,
    maxAgeMs: 60_000,
  });
  return { nodes, state };
};

const at = (name: string) => ({ nodeHash: nodeNameHash(name), id: 1, serial: 0 });

describe('running nodes', () => {
  it('lists once for a known node', async () => {
    const { nodes, state } = make();
    for (let i = 0; i < 3; i += 1) assert.ok(await nodes.couldHost(at('a@host')));
    assert.equal(state.calls, 1);
  });

  it('lists again for an unknown node, but at most once a second', async () => {
    const { nodes, state } = make();
    for (let i = 0; i < 100; i += 1) assert.equal(await nodes.couldHost({ nodeHash: i, id: 1, serial: 0 }), false);
    assert.equal(state.calls, 1);
    state.names = ['a@host', 'b@host'];
    state.nowMs = 1000;
    assert.ok(await nodes.couldHost(at('b@host')));
    assert.equal(state.calls, 2);
  });

  it('shares one listing among concurrent calls', async () => {
    const { nodes, state } = make();
    assert.deepEqual(await Promise.all([nodes.couldHost(at('a@host')), nodes.couldHost(at('unknown@host'))]), [
      true,
      false,
    ]);
    assert.equal(state.calls, 1);
  });

  it('forgets a node that has left', async () => {
    const { nodes, state } = make();
    await nodes.couldHost(at('a@host'));
    state.names = ['b@host'];
    state.nowMs = 60_001;
    assert.ok(await nodes.couldHost(at('a@host')), 'the old listing counts while it is renewed');
    await nodes.couldHost(at('unknown@host'));
    assert.equal(await nodes.couldHost(at('a@host')), false);
  });

  it('keeps a listing when an older one arrives later', async () => {
    const answers: ((names: readonly string[]) => void)[] = [];
    let nowMs = 0;
    const nodes = createRunningNodes({
      listNodes: async () => {
        const names = await new Promise<readonly string[]>((resolve) => answers.push(resolve));
        return names.map((name) => ({ name, otpRelease: 25 }));
      },
      clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
      minRefreshMs: 1000,
    });
    const first = nodes.couldHost(at('a@host'));
    nowMs = 1000;
    const second = nodes.couldHost(at('b@host'));
    answers[1]?.(['b@host']);
    assert.ok(await second);
    answers[0]?.(['a@host']);
    assert.equal(await first, false, 'it has left since');
    assert.ok(await nodes.couldHost(at('b@host')));
  });

  it('uses an old listing while the API is down, and rejects for an unknown node', async () => {
    const { nodes, state } = make();
    await nodes.couldHost(at('a@host'));
    state.down = true;
    state.nowMs = 120_000;
    assert.ok(await nodes.couldHost(at('a@host')));
    await assert.rejects(nodes.couldHost(at('unknown@host')), /down/);
    assert.equal(state.calls, 2);
  });

  it("rejects numbers that are no pid in the node's Erlang/OTP", async () => {
    const { nodes } = make();
    assert.equal(await nodes.couldHost({ ...at('a@host'), id: 2 ** 15 }), false);
  });
});
