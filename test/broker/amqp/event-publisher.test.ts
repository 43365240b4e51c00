import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createEventPublisher } from '../../../src/broker/amqp/event-publisher.ts';
import { isAgentError } from '../../../src/util/agent-errors.ts';

class Handle extends EventEmitter {
  aborted = false;
  abort(): void {
    this.aborted = true;
  }
}

const event = { routingKey: 'agent.started.x', body: '{}', contentType: 'application/json', messageId: 'm' };
const make = (timeoutMs = 10_000) => {
  const handles: Handle[] = [];
  const publish = createEventPublisher({
    publish: async () => {
      const handle = new Handle();
      handles.push(handle);
      return handle;
    },
    timeoutMs,
  });
  return { publish, handles };
};
/** Lets the publisher attach its listeners. */
const settle = () => new Promise((resolve) => setImmediate(resolve));
const unavailable = (error: unknown) => isAgentError(error, 'BrokerUnavailable');

describe('event publisher', () => {
  it('resolves with the confirm, not before', async () => {
    const { publish, handles } = make();
    let done = false;
    const published = (async () => {
      await publish(event);
      done = true;
    })();
    await settle();
    assert.equal(done, false);
    handles[0]?.emit('success', 'm');
    await published;
  });

  it('rejects when the broker refuses the event or the connection is lost', async () => {
    for (const outcome of ['error', 'close']) {
      const { publish, handles } = make();
      const published = publish(event);
      const rejected = assert.rejects(published, unavailable);
      await settle();
      handles[0]?.emit(outcome, new Error('no'));
      await rejected;
    }
  });

  it('abandons an event at the time-out, cancels it, and ignores a late error', async () => {
    const { publish, handles } = make(5);
    await assert.rejects(publish(event), unavailable);
    assert.ok(handles[0]?.aborted);
    handles[0]?.emit('error', new Error('late'));
  });

  it('abandons an event at the time-out without a connection, and cancels a late publication', async () => {
    const handle = new Handle();
    const bell = new EventEmitter();
    const connected = once(bell, 'connected').then(() => handle);
    const publish = createEventPublisher({ publish: () => connected, timeoutMs: 5 });
    await assert.rejects(publish(event), unavailable);
    bell.emit('connected');
    await settle();
    assert.ok(handle.aborted);
    handle.emit('error', new Error('late'));
  });

  it('rejects when its signal aborts', async () => {
    const { publish, handles } = make();
    const stop = new AbortController();
    const rejected = assert.rejects(publish(event, stop.signal), /stop/);
    await settle();
    stop.abort(new Error('stop'));
    await rejected;
    assert.ok(handles[0]?.aborted);
  });

  it('holds a bounded number of events for the broker', async () => {
    const { publish, handles } = make();
    const waiting = Array.from({ length: 1000 }, () => publish(event));
    await assert.rejects(publish(event), /too many/);
    await settle();
    for (const handle of handles) handle.emit('success', 'm');
    await Promise.all(waiting);
  });
});
