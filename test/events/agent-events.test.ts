import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { AgentEvent } from '../../src/contract/events.ts';
import { createLog } from '../../src/util/log.ts';
import { createAgentEvents, type PublishableEvent } from '../../src/events/agent-events.ts';
import { createManualClock } from '../support/manual-clock.ts';

function setUp(publish: (event: PublishableEvent) => Promise<void>, tellMs?: number) {
  const lines: string[] = [];
  const log = createLog({ id: 'pulse-agent', logLevel: 'info' }, { write: (line) => void lines.push(line) });
  const events = createAgentEvents({
    publish,
    agent: 'pulse-agent',
    instance: 'a.1',
    clock: createManualClock(),
    log,
    ...(tellMs === undefined ? {} : { tellMs }),
  });
  return { events, text: () => lines.join('') };
}

describe('agent events', () => {
  it('are published as CloudEvents under their type and what they are about', async () => {
    const published: PublishableEvent[] = [];
    const { events } = setUp(async (event) => void published.push(event));
    events.emit('agent.started', { version: '1.0.0' });
    events.emit('namespace.released', { namespace: 'taskcluster-x', clientId: 'project/x' });
    await events.flush(60_000);
    assert.deepEqual(
      published.map(({ routingKey }) => routingKey),
      ['agent.started.a-1', 'namespace.released.taskcluster-x'],
    );
    const [first] = published;
    assert.equal(first?.contentType, 'application/cloudevents+json');
    const event = JSON.parse(first.body) as AgentEvent;
    assert.equal(event.id, first.messageId);
    assert.equal(event.source, '/pulse-agent/a.1');
    assert.equal(event.time, '2026-11-24T12:00:00.000Z');
    assert.notEqual(published[1]?.messageId, first.messageId);
  });

  it('hold nobody up, and flush waits for those under way', async () => {
    const broker = new EventEmitter();
    const { events } = setUp(async () => {
      await once(broker, 'confirm');
    });
    events.emit('agent.started', { version: '1.0.0' });
    let flushed = false;
    const flush = events.flush(60_000).then(() => {
      flushed = true;
    });
    await new Promise(setImmediate);
    assert.equal(flushed, false);
    broker.emit('confirm');
    await flush;
  });

  it('that RabbitMQ never confirms are flushed for so long and no longer', async () => {
    const { events } = setUp(() => new Promise(() => undefined));
    events.emit('agent.started', { version: '1.0.0' });
    await events.flush(10);
  });

  it('are waited for by whoever forgets what they are about: until they are published or given up', async () => {
    const broker = new EventEmitter();
    const { events } = setUp(async () => {
      await once(broker, 'confirm');
    });
    let isTold = false;
    const telling = events.emitAndWait('agent.started', { version: '1.0.0' }).then(() => {
      isTold = true;
    });
    await new Promise(setImmediate);
    assert.equal(isTold, false);
    broker.emit('confirm');
    await telling;

    const { events: failing } = setUp(() => Promise.reject(new Error('alarm')));
    await failing.emitAndWait('agent.started', { version: '1.0.0' });
  });

  it('are waited for once while the broker confirms nothing, as during an alarm, and again when it does', async () => {
    const broker = new EventEmitter();
    broker.setMaxListeners(0);
    const { events } = setUp(async () => void (await once(broker, 'confirm')), 500);
    let told = 0;
    const tell = async (): Promise<void> => {
      await events.emitAndWait('agent.started', { version: '1.0.0' });
      told += 1;
    };
    const turn = (): Promise<void> => new Promise(setImmediate);
    const waiting = tell();
    await turn();
    assert.equal(told, 0);
    await waiting;
    const others = Array.from({ length: 100 }, tell);
    await turn();
    assert.equal(told, 101, 'none of the others should be waited for');
    await Promise.all(others);
    broker.emit('confirm');
    await events.flush(60_000);
    await turn();
    const last = tell();
    await turn();
    assert.equal(told, 101);
    broker.emit('confirm');
    await last;
  });

  it('are in the log with their content when they cannot be published', async () => {
    const { events, text } = setUp(() => Promise.reject(new Error('alarm')));
    events.emit('agent.stopped', { version: '1.0.0', uptimeSeconds: 5 });
    await events.flush(60_000);
    assert.match(text(), /"level":"error".*alarm.*"uptimeSeconds":5/);
  });

  it('are refused, in the log alone, with data that is not their type’s: it could be a secret', async () => {
    let published = 0;
    const { events, text } = setUp(async () => {
      published += 1;
    });
    // @ts-expect-error a field too many
    events.emit('namespace.released', { namespace: 'taskcluster-x', clientId: 'x', contact: 'hidden@example.com' });
    await events.flush(60_000);
    assert.equal(published, 0);
    assert.match(text(), /namespace\.released/);
    assert.doesNotMatch(text(), /hidden/);
  });
});
