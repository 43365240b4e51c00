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

  it('are not reverted by a listing that lags behind an event', async () => {
    const { alarms, clock } = make();
    alarms.apply(event(true, 1));
    clock.advance(5_000);
    await alarms.refresh();
    assert.equal(alarms.active.size, 1);
    clock.advance(5_001);
    await alarms.refresh();
    assert.equal(alarms.active.size, 0);
  });
});
