import assert from 'node:assert/strict';
import {
  createHealth,
  type Health,
  type HealthCheck,
  checkConnection,
  PARTS,
  type PartName,
} from '../../src/observe/health.ts';
import type { WholeHealth } from '../support/agent-http.ts';
import { createManualClock } from '../support/manual-clock.ts';

const ALL = Object.keys(PARTS) as PartName[];
const UP: HealthCheck = { state: 'up' };
const DOWN: HealthCheck = { state: 'down', reason: 'it is down' };

/** The report about all parts. */
function reportOf(health: Health): WholeHealth {
  return health.report() as WholeHealth;
}

describe('the health of an agent', () => {
  /** A health whose parts are all up, and a function that changes the state of one. */
  const make = () => {
    const clock = createManualClock();
    const health = createHealth(clock);
    const checks = new Map<PartName, HealthCheck>(ALL.map((part) => [part, UP]));
    for (const part of ALL) health.watch(part, () => checks.get(part) ?? DOWN);
    return { clock, health, checks };
  };

  it('is not ready at first, and names every part that has not started', () => {
    const health = createHealth(createManualClock());
    health.watch('store', () => UP);
    const { ready, parts } = reportOf(health);
    assert.equal(ready, false);
    assert.deepEqual(
      ALL.filter((part) => parts[part].state === 'starting'),
      ALL.filter((part) => part !== 'store'),
    );
    assert.match(String(parts.jobs.reason), /has not started it yet/);
  });

  it('is ready without a reason when all parts are up', () => {
    const { health, checks } = make();
    checks.set('store', { state: 'up', reason: 'of no interest' });
    const { ready, degraded, parts } = reportOf(health);
    assert.deepEqual([ready, degraded], [true, false]);
    assert.equal('reason' in parts.store, false);
  });

  for (const part of ALL) {
    it(`without the part ${part} is ${PARTS[part].required ? 'not ready' : 'degraded'}`, () => {
      const { health, checks } = make();
      checks.set(part, DOWN);
      const { ready, degraded, parts } = reportOf(health);
      assert.deepEqual([ready, degraded], PARTS[part].required ? [false, false] : [true, true]);
      assert.deepEqual([parts[part].state, parts[part].reason], ['down', 'it is down']);
    });
  }

  it('reports since when a part is in its state', () => {
    const { clock, health, checks } = make();
    clock.advance(1000);
    const { since } = reportOf(health).parts.store;
    clock.advance(5000);
    assert.equal(reportOf(health).parts.store.since, since);
    checks.set('store', DOWN);
    clock.advance(1000);
    const fell = reportOf(health).parts.store.since;
    assert.equal(Date.parse(fell) - Date.parse(since), 6000);
    clock.advance(1000);
    checks.set('store', { state: 'down', reason: 'for another reason' });
    assert.equal(reportOf(health).parts.store.since, fell);
  });

  it('is not ready while the agent stops', () => {
    const { health } = make();
    health.drain();
    const { ready, stopping } = reportOf(health);
    assert.deepEqual([ready, stopping], [false, true]);
  });

  it('a connection that never opened is starting; one that was lost is down', () => {
    let there = false;
    const check = checkConnection(() => there, 'deleted');
    assert.equal(check().state, 'starting');
    there = true;
    assert.equal(check().state, 'up');
    there = false;
    assert.deepEqual(check(), { state: 'down', reason: 'deleted' });
  });
});
