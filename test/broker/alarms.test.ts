import assert from 'node:assert/strict';
import { type AlarmChange, createAlarms } from '../../src/broker/alarms.ts';
import type { AlarmEvent } from '../../src/broker/amqp/broker-events.ts';
import type { NodeAlarm } from '../../src/broker/management/management.ts';
import { createManualClock } from '../support/manual-clock.ts';

describe('alarms', () => {
  const event = (set: boolean, atMs: number | undefined): AlarmEvent => ({
    type: set ? 'alarm.set' : 'alarm.cleared',
    alarm: 'memory',
    node: 'rabbit@a',
    atMs,
    by: undefined,
  });
  const make = () => {
    const clock = createManualClock();
    const listed: NodeAlarm[] = [];
    const changes: AlarmChange[] = [];
    const alarms = createAlarms({
      clock,
      listAlarms: async () => [...listed],
      onChange: (change) => void changes.push(change),
    });
    return { clock, listed, changes, alarms };
  };

  it('are set and cleared by events, each change reported once', () => {
    const { alarms, changes } = make();
    alarms.apply(event(true, 1));
    alarms.apply(event(true, 1));
    assert.deepEqual([...alarms.active.values()], [{ alarm: 'memory', node: 'rabbit@a' }]);
    alarms.apply(event(false, 2));
    alarms.apply(event(false, 2));
    assert.equal(alarms.active.size, 0);
    assert.deepEqual(
      changes.map(({ active, source }) => [active, source]),
      [
        [true, 'event'],
        [false, 'event'],
      ],
    );
  });

  it('ignore an older event that arrives later', () => {
    const { alarms } = make();
    alarms.apply(event(false, 2));
    alarms.apply(event(true, 1));
    assert.equal(alarms.active.size, 0);
  });

  it('are found by the listing when an event was lost or delivered to another agent', async () => {
    const { alarms, listed, changes } = make();
    listed.push({ alarm: 'disk', node: 'rabbit@b' });
    await alarms.refresh();
    assert.deepEqual([...alarms.active.values()], listed);
    listed.pop();
    await alarms.refresh();
    assert.equal(alarms.active.size, 0);
    assert.deepEqual(
      changes.map(({ alarm, active, source }) => [alarm, active, source]),
      [
        ['disk', true, 'listing'],
        ['disk', false, 'listing'],
      ],
    );
  });

  it('are not reverted by a listing of a node that may not know of an event yet', async () => {
    const { alarms, clock } = make();
    alarms.apply(event(true, 1));
    clock.advance(999);
    await alarms.refresh();
    assert.equal(alarms.active.size, 1);
    clock.advance(1);
    await alarms.refresh();
    assert.equal(alarms.active.size, 0);
  });

  it('are not reverted by a listing that was requested before an event or another listing', async () => {
    const answers: ((listed: readonly NodeAlarm[]) => void)[] = [];
    const clock = createManualClock();
    const alarms = createAlarms({
      clock,
      listAlarms: () => new Promise((resolve) => answers.push(resolve)),
      onChange: () => undefined,
    });
    const memory = { alarm: 'memory', node: 'rabbit@a' };
    const first = alarms.refresh();
    clock.advance(1);
    const second = alarms.refresh();
    answers[1]?.([memory]);
    await second;
    answers[0]?.([]);
    await first;
    assert.deepEqual([...alarms.active.values()], [memory]);
    const third = alarms.refresh();
    clock.advance(5_000);
    alarms.apply(event(true, 1));
    answers[2]?.([]);
    await third;
    assert.deepEqual([...alarms.active.values()], [memory]);
  });

  it('are unknown before the first listing, and age after it', async () => {
    const { alarms, clock } = make();
    assert.equal(alarms.ageMs(), Infinity);
    await alarms.refresh();
    clock.advance(500);
    assert.equal(alarms.ageMs(), 500);
  });
});
