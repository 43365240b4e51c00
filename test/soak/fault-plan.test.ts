import assert from 'node:assert/strict';
import { describeFault, type Fault, planFaults } from '../../soak/fault-plan.ts';

const INPUT = { seed: 7, minutes: 10, agents: 3, nodes: 3 };

describe('the plan of faults', () => {
  it('is a function of the seed', () => {
    assert.deepEqual(planFaults(INPUT), planFaults(INPUT));
    assert.notDeepEqual(planFaults(INPUT), planFaults({ ...INPUT, seed: 8 }));
  });

  it('has every kind of fault within a few seeds, each within the time and on what there is', () => {
    const faults = seeds(5).flatMap((seed) => planFaults({ ...INPUT, seed }).flat());
    const kinds: Fault['kind'][] = [
      'agent-kill',
      'agent-pause',
      'agent-restart',
      'alarm',
      'management-cut',
      'management-late',
      'management-stall',
      'node-kill',
      'node-restart',
      'rolling-restart',
      'store-cut',
      'store-late',
    ];
    assert.deepEqual([...new Set(faults.map(({ kind }) => kind))].toSorted(), kinds);
    for (const fault of faults) {
      assert.ok(fault.atMs >= 0 && fault.atMs < 600_000, describeFault(fault));
      if ('agent' in fault && fault.agent !== undefined) assert.ok(fault.agent >= 0 && fault.agent < 3);
      if ('node' in fault) assert.ok(fault.node >= 0 && fault.node < 3);
    }
  });

  it('takes nodes down in one lane only, so that a quorum stays', () => {
    for (const seed of seeds(5)) {
      const lanes = planFaults({ ...INPUT, seed }).filter((lane) =>
        lane.some(({ kind }) => ['node-kill', 'node-restart', 'rolling-restart'].includes(kind)),
      );
      assert.ok(lanes.length <= 1);
    }
  });

  it('orders the faults of a lane by time', () => {
    for (const lane of planFaults(INPUT)) {
      const times = lane.map(({ atMs }) => atMs);
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
    }
  });

  it('does not kill a single node, which may lose what it has confirmed', () => {
    const faults = seeds(20).flatMap((seed) => planFaults({ ...INPUT, seed, nodes: 1 }).flat());
    const kinds = new Set(faults.map(({ kind }) => kind));
    assert.ok(kinds.has('node-restart') && !kinds.has('node-kill') && !kinds.has('rolling-restart'));
  });

  it('describes a fault in one line', () => {
    assert.equal(describeFault({ kind: 'agent-pause', agent: 0, forMs: 12_340 }), 'agent-pause of agent 1 for 12.3 s');
    assert.equal(
      describeFault({ kind: 'store-late', agent: undefined, lateMs: 900, forMs: 5000 }),
      'store-late of all agents by 900 ms for 5.0 s',
    );
    assert.equal(describeFault({ kind: 'rolling-restart' }), 'rolling-restart');
  });
});

function seeds(count: number): number[] {
  return Array.from({ length: count }, (_, seed) => seed);
}
