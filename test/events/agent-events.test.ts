import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { AgentEvent } from '../../src/contract/events.ts';
import { createLog } from '../../src/util/log.ts';
import { createAgentEvents, type PublishableEvent } from '../../src/events/agent-events.ts';
import { createManualClock } from '../support/manual-clock.ts';

type Publish = (event: PublishableEvent) => Promise<void>;

function createUnattached(maxWaitMs?: number) {
  const lines: string[] = [];
  const log = createLog({ id: 'pulse-agent', logLevel: 'info' }, { write: (line) => void lines.push(line) });
  const emitted: string[] = [];
  const events = createAgentEvents({
    agent: 'pulse-agent',
    instance: 'a.1',
    clock: createManualClock(),
    log,
    onEmit: (type) => void emitted.push(type),
    ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
  });
  return { events, emitted, text: () => lines.join('') };
}

function setUp(publish: Publish, maxWaitMs?: number) {
  const created = createUnattached(maxWaitMs);
  created.events.attach(publish);
  return created;
}

const turn = (): Promise<void> => new Promise(setImmediate);

describe('agent events', () => {
  it('are published as CloudEvents under their type and subject', async () => {
    const published: PublishableEvent[] = [];
    const { events, emitted } = setUp(async (event) => void published.push(event));
    events.emit('agent.started', { version: '1.0.0' });
    events.emit('namespace.released', { namespace: 'taskcluster-x', clientId: 'project/x' });
    await events.flush(60_000);
    assert.deepEqual(
      published.map(({ routingKey }) => routingKey),
      ['agent.started.a-1', 'namespace.released.taskcluster-x'],
    );
    assert.deepEqual(emitted, ['agent.started', 'namespace.released']);
    const [first] = published;
    assert.equal(first?.contentType, 'application/cloudevents+json');
    const event = JSON.parse(first.body) as AgentEvent;
    assert.equal(event.id, first.messageId);
    assert.equal(event.source, '/pulse-agent/a.1');
    assert.equal(event.time, '2026-11-24T12:00:00.000Z');
    assert.notEqual(published[1]?.messageId, first.messageId);
  });

  it('emitted before a publisher is attached are published in order once it is', async () => {
    const { events } = createUnattached();
    for (const version of ['1', '2']) events.emit('agent.started', { version });
    await turn();
    const published: string[] = [];
    events.attach(
      async ({ body }) => void published.push((JSON.parse(body) as AgentEvent<'agent.started'>).data.version),
    );
    events.emit('agent.started', { version: '3' });
    await events.flush(60_000);
    assert.deepEqual(published, ['1', '2', '3']);
  });

  it('beyond 1,000 that wait for a publisher are logged', async () => {
    const { events, text } = createUnattached();
    for (let count = 0; count < 1001; count += 1) events.emit('agent.started', { version: String(count) });
    await turn();
    assert.equal(text().match(/event_not_published/g)?.length, 1);
    let published = 0;
    events.attach(async () => {
      published += 1;
    });
    await events.flush(60_000);
    assert.equal(published, 1000);
  });

  it('do not delay the caller, and flush waits for those in flight', async () => {
    const broker = new EventEmitter();
    const { events } = setUp(async () => {
      await once(broker, 'confirm');
    });
    events.emit('agent.started', { version: '1.0.0' });
    let flushed = false;
    const flush = events.flush(60_000).then(() => {
      flushed = true;
    });
    await turn();
    assert.equal(flushed, false);
    broker.emit('confirm');
    await flush;
  });

  it('that RabbitMQ never confirms are flushed until the time-out only', async () => {
    const { events } = setUp(() => new Promise(() => undefined));
    events.emit('agent.started', { version: '1.0.0' });
    await events.flush(10);
  });

  it('emitted with emitAndWait are awaited until they are published or abandoned', async () => {
    const broker = new EventEmitter();
    const { events } = setUp(async () => {
      await once(broker, 'confirm');
    });
    let isEmitted = false;
    const emitting = events.emitAndWait('agent.started', { version: '1.0.0' }).then(() => {
      isEmitted = true;
    });
    await turn();
    assert.equal(isEmitted, false);
    broker.emit('confirm');
    await emitting;

    const { events: failing } = setUp(() => Promise.reject(new Error('alarm')));
    await failing.emitAndWait('agent.started', { version: '1.0.0' });
  });

  it('are awaited once while the broker confirms nothing, as during an alarm, and again when it does', async () => {
    const broker = new EventEmitter();
    broker.setMaxListeners(0);
    const { events } = setUp(async () => void (await once(broker, 'confirm')), 500);
    let emitted = 0;
    const emit = async (): Promise<void> => {
      await events.emitAndWait('agent.started', { version: '1.0.0' });
      emitted += 1;
    };
    const waiting = emit();
    await turn();
    assert.equal(emitted, 0);
    await waiting;
    const rest = Array.from({ length: 100 }, emit);
    await turn();
    assert.equal(emitted, 101, 'no later event should be awaited');
    await Promise.all(rest);
    broker.emit('confirm');
    await events.flush(60_000);
    await turn();
    const last = emit();
    await turn();
    assert.equal(emitted, 101);
    broker.emit('confirm');
    await last;
  });

  it('are logged with their content when they cannot be published', async () => {
    const { events, text } = setUp(() => Promise.reject(new Error('alarm')));
    events.emit('agent.stopped', { version: '1.0.0', uptimeSeconds: 5 });
    await events.flush(60_000);
    assert.match(text(), /"level":"error".*alarm.*"uptimeSeconds":5/);
  });

  it('with unexpected data are logged without it and not published: it could be a secret', async () => {
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
