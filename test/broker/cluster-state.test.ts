import assert from 'node:assert/strict';
import {
  CLUSTER_TRUST_MS,
  clusterStatus,
  type ClusterMemory,
  isSteadySince,
  rememberFailure,
  rememberListing,
  rememberReconciliation,
  viewCluster,
} from '../../src/broker/cluster-state.ts';
import type { ClusterNode } from '../../src/broker/management/management.ts';
import { type Moment, momentOf } from '../../src/util/clock.ts';
import { createManualClock } from '../support/manual-clock.ts';

/** Nodes `a`, `b` … of which these run, and what their statistics say. */
function nodes(
  running: readonly boolean[],
  partitions: Readonly<Record<string, readonly string[]>> = {},
): ClusterNode[] {
  return running.map((isRunning, index) => {
    const name = 'abcd'.charAt(index);
    return { name, running: isRunning, partitions: partitions[name] };
  });
}

describe('viewCluster', () => {
  const views: readonly (readonly [string, readonly ClusterNode[], string])[] = [
    ['one node without statistics', nodes([true]), 'whole'],
    ['three nodes that run', nodes([true, true, true], { a: [], b: [], c: [] }), 'whole'],
    ['two of three nodes, as after a node went down or was cut off', nodes([true, true, false]), 'incomplete'],
    ['one of three nodes, as on the smaller side of a cut', nodes([false, false, true]), 'split'],
    ['one of two nodes: the other may go on', nodes([true, false]), 'split'],
    ['two of four nodes', nodes([true, true, false, false]), 'split'],
    ['a partition that only another node knows', nodes([true, true, true], { a: [], c: ['b'] }), 'split'],
    ['a partition after the cut has ended', nodes([true, true, false], { a: ['c'], c: ['a', 'b'] }), 'split'],
    ['no node at all', [], 'split'],
  ];
  for (const [what, listed, expected] of views) {
    it(`takes ${what} for ${expected}`, () => {
      assert.equal(viewCluster(listed).is, expected);
    });
  }

  it('says whether the node that was asked is on the smaller side, once RabbitMQ names the sides', () => {
    const sides = { a: ['c'], b: ['c'], c: ['a', 'b'] };
    const seen = [nodes([true, true, false], sides), nodes([false, false, true], sides), nodes([false, false, true])];
    assert.deepEqual(
      seen.map((listed) => {
        const view = viewCluster(listed);
        return view.is === 'split' && view.isSmaller;
      }),
      [false, true, false],
    );
  });

  it('names the nodes', () => {
    const missing = viewCluster(nodes([true, false, false]));
    assert.match(missing.is === 'whole' ? '' : missing.reason, /1 of 3 nodes run; not running: b, c/);
    const separated = viewCluster(nodes([true, true, true], { a: ['b', 'c'] }));
    assert.match(separated.is === 'whole' ? '' : separated.reason, /a from b and c/);
  });
});

describe('what is known of the cluster', () => {
  const WHOLE = nodes([true, true, true]);
  const CUT_OFF = nodes([true, false, false]);
  const ONE_DOWN = nodes([true, true, false]);

  const make = () => {
    const clock = createManualClock();
    let memory: ClusterMemory | undefined;
    return {
      clock,
      list: (listed: readonly ClusterNode[], at = momentOf(clock)) =>
        (memory = rememberListing(memory, listed, at, momentOf(clock))),
      failed: () => memory && (memory = rememberFailure(memory)),
      isSteadySince: (moment: Moment) => memory !== undefined && isSteadySince(memory, moment),
      reconciled: (at = momentOf(clock)) => memory && (memory = rememberReconciliation(memory, at)),
      is: () => clusterStatus(memory, clock).is,
    };
  };

  it('is nothing before the first listing, and when that is too old', () => {
    const cluster = make();
    assert.equal(cluster.is(), 'unknown');
    cluster.list(WHOLE);
    cluster.clock.advance(CLUSTER_TRUST_MS);
    assert.equal(cluster.is(), 'whole');
    cluster.clock.advance(1);
    assert.equal(cluster.is(), 'unknown');
  });

  it('is old for a process that was suspended, whose monotonic clock stood still', () => {
    const cluster = make();
    cluster.list(WHOLE);
    cluster.clock.setWall(cluster.clock.nowMs() + CLUSTER_TRUST_MS + 1);
    assert.equal(cluster.is(), 'unknown');
  });

  it('is restoring after a split, from when no listing has shown one for 5 s until a reconciliation', () => {
    const cluster = make();
    cluster.list(CUT_OFF);
    assert.equal(cluster.is(), 'split');
    cluster.clock.advance(1000);
    cluster.list(WHOLE);
    assert.equal(cluster.is(), 'split');
    cluster.clock.advance(4000);
    cluster.list(WHOLE);
    assert.equal(cluster.is(), 'restoring');
    cluster.reconciled();
    assert.equal(cluster.is(), 'whole');
  });

  it('stays split while a load balancer asks one side and the other in turn', () => {
    const cluster = make();
    for (let listing = 0; listing < 10; listing += 1) {
      cluster.list(listing % 2 === 0 ? CUT_OFF : nodes([true, true, false]));
      assert.equal(cluster.is(), 'split');
      cluster.clock.advance(2000);
    }
  });

  it('is not restored by a reconciliation that began before the split was seen', () => {
    const cluster = make();
    cluster.list(WHOLE);
    const beganAt = momentOf(cluster.clock);
    cluster.clock.advance(1000);
    cluster.list(CUT_OFF);
    cluster.clock.advance(6000);
    cluster.list(WHOLE);
    cluster.reconciled(beganAt);
    assert.equal(cluster.is(), 'restoring');
  });

  it('is not changed by an older listing that arrives later, but an older split counts', () => {
    const cluster = make();
    const earlier = momentOf(cluster.clock);
    cluster.clock.advance(500);
    cluster.list(nodes([true, true, false]));
    cluster.list(WHOLE, earlier);
    assert.equal(cluster.is(), 'incomplete');
    cluster.list(CUT_OFF, earlier);
    assert.equal(cluster.is(), 'split');
  });

  describe('keeps what was changed from a moment on', () => {
    const changes: readonly (readonly [string, boolean, (cluster: ReturnType<typeof make>) => void])[] = [
      ['while the same nodes run', true, ({ list }) => list(WHOLE)],
      ['not when a listing has shown a split', false, ({ list }) => list(CUT_OFF)],
      ['not when a listing failed', false, ({ failed }) => failed()],
      ['not when a node went away: it may have been changed there', false, ({ list }) => list(ONE_DOWN)],
      [
        'not when nothing was listed for as long as a node takes to lose it',
        false,
        ({ clock }) => clock.advance(3_001),
      ],
    ];
    for (const [title, isKept, happens] of changes) {
      it(title, () => {
        const cluster = make();
        cluster.list(WHOLE);
        const changedAt = momentOf(cluster.clock);
        cluster.clock.advance(1_000);
        happens(cluster);
        cluster.clock.advance(1_000);
        cluster.list(WHOLE);
        assert.equal(cluster.isSteadySince(changedAt), isKept);
        assert.equal(cluster.isSteadySince(momentOf(cluster.clock)), true);
      });
    }

    it('not when that was before the first listing', () => {
      const cluster = make();
      const changedAt = momentOf(cluster.clock);
      cluster.clock.advance(1);
      cluster.list(WHOLE);
      assert.equal(cluster.isSteadySince(changedAt), false);
    });

    it('not when the next listing took so long that it may have been made after a split', () => {
      const cluster = make();
      cluster.list(WHOLE);
      const changedAt = momentOf(cluster.clock);
      cluster.clock.advance(2_000);
      const requestedAt = momentOf(cluster.clock);
      cluster.clock.advance(3_001);
      cluster.list(WHOLE, requestedAt);
      assert.equal(cluster.isSteadySince(changedAt), false);
    });

    it('not for a process that was suspended, whose monotonic clock stood still', () => {
      const cluster = make();
      cluster.list(WHOLE);
      const changedAt = momentOf(cluster.clock);
      cluster.clock.advance(1);
      cluster.clock.setWall(cluster.clock.nowMs() + 5_000);
      cluster.list(WHOLE);
      assert.equal(cluster.isSteadySince(changedAt), false);
    });
  });
});
