import assert from 'node:assert/strict';
import { type DirectReplyTo, nodeNameHash } from '../../../src/broker/amqp/direct-reply-to.ts';
import { systemClock, systemSleep } from '../../../src/util/clock.ts';
import { createRequesterNodes, type RequesterNodes } from '../../../src/broker/management/requester-nodes.ts';

interface Member {
  readonly name: string;
  readonly running: boolean;
}

const node = (name: string, running = true): Member => ({ name, running });

/** Nodes on a clock that waiting moves. */
const make = () => {
  const state = { nowMs: 0, calls: 0, nodes: [node('a@host')], down: false };
  const nodes = createRequesterNodes({
    listNodes: async () => {
      state.calls += 1;
      if (state.down) throw new Error('down');
      return state.nodes;
    },
    otpRelease: async () => 25,
    clock: { monotonicMs: () => state.nowMs },
    sleep: async (ms) => {
      // After what is due now.
      await new Promise(setImmediate);
      state.nowMs += ms;
    },
    signal: new AbortController().signal,
    minRefreshMs: 1000,
    repeatMs: 200,
    maxAgeMs: 60_000,
  });
  return { nodes, state };
};

const kindAt = async (nodes: RequesterNodes, address: DirectReplyTo) => (await nodes.locate(address)).kind;

const at = (name: string) => ({ nodeHash: nodeNameHash(name), id: 1, serial: 0 });

describe('the nodes of requesters', () => {
  it('lists once for a running node', async () => {
    const { nodes, state } = make();
    for (let i = 0; i < 3; i += 1) assert.equal(await kindAt(nodes, at('a@host')), 'running');
    assert.equal(state.calls, 1);
  });

  it('lists again for an unknown node, but at most once a second', async () => {
    const { nodes, state } = make();
    const unknown = async (nodeHash: number) => await kindAt(nodes, { nodeHash, id: 1, serial: 0 });
    for (let i = 0; i < 100; i += 1) assert.equal(await unknown(i), 'unknown');
    assert.equal(state.calls, 1);
    state.nodes = [node('a@host'), node('b@host')];
    state.nowMs = 1000;
    assert.equal(await kindAt(nodes, at('b@host')), 'running');
    assert.equal(state.calls, 2);
  });

  it('shares one listing among concurrent calls', async () => {
    const { nodes, state } = make();
    const locations = await Promise.all([kindAt(nodes, at('a@host')), kindAt(nodes, at('unknown@host'))]);
    assert.deepEqual(locations, ['running', 'unknown']);
    assert.equal(state.calls, 1);
  });

  it('forgets a node that has left', async () => {
    const { nodes, state } = make();
    await kindAt(nodes, at('a@host'));
    state.nodes = [node('b@host')];
    state.nowMs = 60_001;
    assert.equal(await kindAt(nodes, at('a@host')), 'running', 'the old listing counts while it is renewed');
    await kindAt(nodes, at('unknown@host'));
    assert.equal(await kindAt(nodes, at('a@host')), 'unknown');
  });

  it('keeps a listing when an older one arrives later', async () => {
    const answers: ((members: readonly Member[]) => void)[] = [];
    let nowMs = 0;
    const nodes = createRequesterNodes({
      listNodes: () => new Promise((resolve) => answers.push(resolve)),
      otpRelease: async () => 25,
      clock: { monotonicMs: () => nowMs },
      sleep: () => Promise.resolve(),
      signal: new AbortController().signal,
      minRefreshMs: 1000,
    });
    const first = kindAt(nodes, at('a@host'));
    nowMs = 1000;
    const second = kindAt(nodes, at('b@host'));
    answers[1]?.([node('b@host')]);
    assert.equal(await second, 'running');
    answers[0]?.([node('a@host')]);
    assert.equal(await first, 'unknown', 'it has left since');
    assert.equal(await kindAt(nodes, at('b@host')), 'running');
  });

  it('uses an old listing while the API is down, and rejects for an unknown node', async () => {
    const { nodes, state } = make();
    await kindAt(nodes, at('a@host'));
    state.down = true;
    state.nowMs = 120_000;
    assert.equal(await kindAt(nodes, at('a@host')), 'running');
    await assert.rejects(kindAt(nodes, at('unknown@host')), /down/);
    assert.equal(state.calls, 2);
  });

  it("rejects numbers that are no pid in the node's Erlang/OTP", async () => {
    const { nodes } = make();
    assert.equal(await kindAt(nodes, { ...at('a@host'), id: 2 ** 15 }), 'unknown');
  });

  describe('a member that is down', () => {
    it('is down only by a listing that began after the call, as it may run again', async () => {
      const { nodes, state } = make();
      state.nodes = [node('a@host', false), node('b@host'), node('c@host')];
      assert.equal(await kindAt(nodes, at('a@host')), 'down');
      assert.equal(state.calls, 1);
      state.nodes = [node('a@host')];
      state.nowMs = 50;
      assert.equal(await kindAt(nodes, at('a@host')), 'running');
      assert.deepEqual([state.calls, state.nowMs], [2, 200]);
    });

    it('is listed once for all calls of a fifth of a second', async () => {
      const { nodes, state } = make();
      state.nodes = [node('a@host', false), node('b@host'), node('c@host')];
      await nodes.listAgain();
      for (let second = 0; second < 5; second += 1) {
        state.nowMs += 1;
        const asked = Array.from({ length: 100 }, () => kindAt(nodes, at('a@host')));
        assert.deepEqual(new Set(await Promise.all(asked)), new Set(['down']));
      }
      assert.deepEqual([state.calls, state.nowMs], [6, 1000]);
    });

    it('is unknown to a node that sees at most half of the nodes: it may be cut off itself', async () => {
      const { nodes, state } = make();
      const hash = nodeNameHash('a@host');
      for (const names of [['b@host'], ['b@host', 'c@host', 'd@host']]) {
        const ran = state.calls;
        state.nodes = [node('a@host', false), node('b@host'), ...names.slice(1).map((name) => node(name, false))];
        assert.equal(await nodes.listAgain(), false);
        assert.ok(state.calls > ran);
        assert.equal(await kindAt(nodes, at('a@host')), 'unknown');
        assert.equal(nodes.runs({ hash, sinceMs: 0 }), undefined);
        assert.equal(await kindAt(nodes, at('b@host')), 'running');
        state.nowMs += 1;
      }
      state.nodes = [node('a@host', false), node('b@host'), node('c@host')];
      assert.equal(await nodes.listAgain(), true);
      assert.equal(nodes.runs({ hash, sinceMs: 0 }), false);
    });

    it('is unknown while the nodes cannot be listed', async () => {
      const { nodes, state } = make();
      state.nodes = [node('a@host', false), node('b@host'), node('c@host')];
      await nodes.listAgain();
      state.down = true;
      state.nowMs = 1;
      await assert.rejects(kindAt(nodes, at('a@host')), /down/);
    });
  });

  it('says whether a node ran at an instant or later, as far as it was observed', async () => {
    const { nodes, state } = make();
    const hash = nodeNameHash('a@host');
    assert.equal(nodes.runs({ hash, sinceMs: 0 }), undefined);
    await nodes.listAgain();
    assert.equal(nodes.runs({ hash, sinceMs: 0 }), true);
    assert.equal(nodes.runs({ hash, sinceMs: 1 }), undefined);
    state.nowMs = 200;
    state.nodes = [node('a@host', false), node('b@host'), node('c@host')];
    await nodes.listAgain();
    assert.equal(nodes.runs({ hash, sinceMs: 1 }), false);
    assert.equal(nodes.runs({ hash: nodeNameHash('unknown@host'), sinceMs: 1 }), false, 'it has left the cluster');
  });

  it('begins another listing when one does not answer for a second', async () => {
    let answer = (_members: readonly Member[]): void => undefined;
    const hanging = new Promise<readonly Member[]>((resolve) => (answer = resolve));
    let calls = 0;
    const nodes = createRequesterNodes({
      listNodes: () => {
        calls += 1;
        return calls === 1 ? hanging : Promise.resolve([node('a@host')]);
      },
      otpRelease: async () => 25,
      clock: systemClock,
      sleep: systemSleep,
      signal: new AbortController().signal,
    });
    const first = nodes.listAgain();
    await new Promise(setImmediate);
    await nodes.listAgain();
    assert.equal(calls, 2);
    assert.equal(await kindAt(nodes, at('a@host')), 'running');
    answer([]);
    await first;
    assert.equal(await kindAt(nodes, at('a@host')), 'running', 'the older listing does not count');
  });
});
