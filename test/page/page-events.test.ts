import assert from 'node:assert/strict';
import { EVENT_TYPES, type EventType } from '../../src/contract/event-types.ts';
import { appendEvents, completeLines, visibleRows } from '../../src/page/event-buffer.ts';
import { describeEvent, describeStream, PAGE_EVENT_TYPES, parseStreamLine } from '../../src/page/event-texts.ts';
import { streamLine, type EventView } from '../../src/operator-api/event-schemas.ts';
import { filterEvents } from '../../src/page/filter-events.ts';

const event = (id: string, type = 'namespace.rotated', data: EventView['data'] = {}): EventView => ({
  id,
  type,
  time: '2026-11-24T12:00:00.000Z',
  subject: 'alpha',
  ...(typeof data['namespace'] === 'string' ? { namespace: data['namespace'] } : {}),
  instance: 'agent-1',
  data,
});

describe('events on the page', () => {
  it('can be filtered by every type of the contract', () => {
    assert.deepEqual(PAGE_EVENT_TYPES, Object.keys(EVENT_TYPES));
  });

  it('are described from the examples of the contract, each in words', () => {
    for (const type of Object.keys(EVENT_TYPES) as EventType[]) {
      const data = Object.fromEntries(
        Object.entries(EVENT_TYPES[type].data.shape).map(([name, field]) => [name, field.meta()?.examples?.[0]]),
      );
      const text = describeEvent({ type, data });
      assert.doesNotMatch(text, /undefined|unknown|\[object|[{}]/, `${type}: ${text}`);
    }
  });

  it('of a type that the page does not know are shown with their data', () => {
    assert.equal(describeEvent({ type: 'new.type', data: { a: 1 } }), '{"a":1}');
    assert.equal(describeEvent({ type: 'new.type', data: {} }), 'this agent does not know the type');
  });

  it('are read from the lines of the stream; a heartbeat, a cut line and anything else is no event', () => {
    const whole = event('1', 'queue.deleted', { queue: 'q' });
    const note = { stream: 'agent-1', gap: true, agents: 'own', reason: 'RabbitMQ does not answer' } as const;
    for (const line of [{ event: whole }, note]) streamLine.parse(line);
    assert.deepEqual(parseStreamLine(JSON.stringify({ event: whole })), { event: whole });
    assert.deepEqual(parseStreamLine(JSON.stringify(note)), { note });
    const others = ['{"heartbeat":"x"}', '{"event":{"id":"1"', '', 'null', '[]', '7', '{"event":{"id":1,"data":{}}}'];
    for (const line of others) assert.equal(parseStreamLine(line), undefined, line);
  });

  it('say when some may be missing, and when they are of one agent only', () => {
    const note = { stream: 'agent-1', gap: false, agents: 'all' } as const;
    assert.equal(describeStream(undefined), undefined);
    assert.equal(describeStream(note), undefined);
    assert.equal(describeStream({ ...note, gap: true }), 'events may be missing');
    const own = describeStream({ ...note, agents: 'own', reason: 'RabbitMQ does not answer' });
    assert.equal(own, 'events of agent-1 only: RabbitMQ does not answer');
  });

  it('come in lines that arrive in pieces', () => {
    const first = completeLines('', 'one\ntw');
    assert.deepEqual(first, { lines: ['one'], rest: 'tw' });
    assert.deepEqual(completeLines(first.rest, 'o\n\n{}\n'), { lines: ['two', '{}'], rest: '' });
  });

  it('are kept once each, the newest first, and no more than fit', () => {
    const start = appendEvents({ events: [], arrived: 0 }, [event('a'), event('b')]);
    assert.deepEqual(
      start.events.map(({ id }) => id),
      ['b', 'a'],
    );
    const again = appendEvents(start, [event('b'), event('c'), event('c')], 2);
    assert.deepEqual(
      again.events.map(({ id }) => id),
      ['c', 'b'],
    );
    assert.equal(again.arrived, 3);
    assert.equal(appendEvents(again, [event('c')]), again, 'nothing new: nothing is drawn');
  });

  it('are filtered by type, and by a text in the namespace or the queue', () => {
    const events = [
      event('1', 'queue.deleted', { namespace: 'alpha', queue: 'queue/alpha/Jobs' }),
      event('2', 'namespace.rotated', { namespace: 'beta' }),
      event('3', 'agent.started'),
    ];
    const ids = (filter: { type: string; search: string }) => filterEvents(events, filter).map(({ id }) => id);
    assert.equal(filterEvents(events, { type: '', search: '' }), events);
    assert.deepEqual(ids({ type: 'namespace.rotated', search: '' }), ['2']);
    assert.deepEqual(ids({ type: '', search: 'JOBS' }), ['1']);
    assert.deepEqual(ids({ type: '', search: 'a' }), ['1', '2']);
  });

  it('are drawn only where they are in sight', () => {
    assert.deepEqual(visibleRows(0, 600, 30, 1000), { from: 0, until: 28 });
    assert.deepEqual(visibleRows(15_000, 600, 30, 1000), { from: 492, until: 528 });
    assert.deepEqual(visibleRows(29_400, 600, 30, 1000), { from: 972, until: 1000 });
    assert.deepEqual(visibleRows(0, 600, 30, 0), { from: 0, until: 0 });
    const { from, until } = visibleRows(99_999, 600, 30, 10);
    assert.ok(from < until && until === 10, 'the list became shorter while it was scrolled');
  });
});
