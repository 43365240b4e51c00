import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createHttpServer, type HttpServer, textAnswer } from '../../src/observe/http-server.ts';
import { streamLine } from '../../src/operator-api/event-schemas.ts';
import type { EventView } from '../../src/operator-api/event-schemas.ts';
import { createEventRing, type EventRing } from '../../src/operator-http/event-ring.ts';
import { createEventStream } from '../../src/operator-http/event-stream.ts';
import { readEventView } from '../../src/operator-http/event-view.ts';
import { makeEvent } from '../../src/contract/events.ts';
import { systemClock, systemSleep } from '../../src/util/clock.ts';
import { createLog } from '../../src/util/log.ts';
import { addCleanup } from '../support/cleanup.ts';
import { heapInUse } from '../support/heap.ts';
import { openEventStream } from '../support/operator-stream.ts';
import { waitUntil } from '../support/wait-until.ts';
import { readParameters } from '../../src/operator-http/request-parameters.ts';

function eventOf(id: number | string, type = 'namespace.rotated', namespace = 'taskcluster-a'): EventView {
  const data = { namespace };
  return { id: String(id), time: '2026-11-24T12:00:00.000Z', type, subject: namespace, namespace, instance: 'b', data };
}

function large(id: number): EventView {
  return { ...eventOf(id), data: { padding: 'x'.repeat(8_000) } };
}

/** A server whose every path is the stream of a ring. */
async function serveRing({
  limit,
  heartbeatMs,
  stallMs,
}: {
  limit?: number;
  heartbeatMs?: number;
  stallMs?: number;
} = {}): Promise<{ readonly ring: EventRing; readonly server: HttpServer; readonly httpPort: number }> {
  const ring = createEventRing('agent-1', { agents: 'all' }, limit);
  const stream = createEventStream({
    instance: 'agent-1',
    ring,
    clock: systemClock,
    sleep: systemSleep,
    ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
  });
  const server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    routes: { '/healthz': () => textAnswer(200, 'alive') },
    log: createLog({ id: 'pulse-agent', logLevel: 'silent' }, { write: () => undefined }),
    ...(stallMs === undefined ? {} : { stallMs }),
  });
  server.mount((request) => {
    const found = readParameters(request.query);
    assert.ok('parameters' in found);
    return stream(request, found.parameters);
  });
  await server.start();
  addCleanup(() => server.close());
  return { ring, server, httpPort: server.port ?? 0 };
}

describe('the stream of events', function () {
  this.timeout(60_000);

  it('has what is kept, then what comes, each once and in order', async () => {
    const { ring, httpPort } = await serveRing();
    for (const id of [1, 2, 2, 1, 3]) ring.add(eventOf(id));
    const stream = await openEventStream({ httpPort }, 'x');
    await waitUntil(() => stream.events().length === 3, 'three events arrive');
    for (const id of [3, 4, 5]) ring.add(eventOf(id));
    await waitUntil(() => stream.events().length === 5, 'five events arrive');
    assert.deepEqual(
      stream.events().map(({ id }) => id),
      ['1', '2', '3', '4', '5'],
    );
    assert.deepEqual(stream.lines()[0], { stream: 'agent-1', gap: false, agents: 'all' });
    for (const line of stream.lines()) streamLine.parse(line);
    stream.close();
  });

  it('selects by type, kind of type and namespace', async () => {
    const { ring, httpPort } = await serveRing();
    const stream = await openEventStream({ httpPort }, 'x', '?types=queue,namespace.expired&namespaces=taskcluster-a');
    ring.add(eventOf(1));
    ring.add(eventOf(2, 'queue.warning'));
    ring.add(eventOf(3, 'queue.warning', 'taskcluster-b'));
    ring.add(eventOf(4, 'namespace.expired'));
    ring.add({ ...eventOf(5, 'queue.warning'), namespace: 'taskcluster' });
    ring.add(eventOf(6, 'queue.recovered'));
    await waitUntil(() => stream.events().some(({ id }) => id === '6'), 'the last event arrives');
    assert.deepEqual(
      stream.events().map(({ id }) => id),
      ['2', '4', '6'],
    );
    stream.close();
  });

  it('says that it lives, also while no event is wanted', async () => {
    const { ring, httpPort } = await serveRing({ heartbeatMs: 50 });
    const stream = await openEventStream({ httpPort }, 'x', '?types=agent');
    const adding = setInterval(() => ring.add(eventOf(performance.now())), 5);
    await stream.line((line) => 'heartbeat' in line && Date.parse(line.heartbeat) > 0);
    clearInterval(adding);
    stream.close();
  });

  it('resumes behind an event, with what happened to the source, and has a gap behind one that is gone', async () => {
    const { ring, httpPort } = await serveRing({ limit: 4 });
    ring.add(eventOf(1));
    ring.setSource({ agents: 'own', reason: 'RabbitMQ is down' }, true);
    ring.setSource({ agents: 'all' }, true);
    ring.add(eventOf(2));
    const behind = await openEventStream({ httpPort }, 'x', '?after=1');
    await waitUntil(() => behind.events().length === 1, 'the event behind it arrives');
    assert.deepEqual(
      behind.lines().map((line) => ('stream' in line ? [line.gap, line.agents] : 'event')),
      [[false, 'all'], [true, 'own'], [true, 'all'], 'event'],
    );
    behind.close();
    ring.add(eventOf(3));
    const lost = await openEventStream({ httpPort }, 'x', '?after=1');
    await waitUntil(() => lost.events().length === 2, 'two events arrive');
    assert.deepEqual(lost.lines()[0], { stream: 'agent-1', gap: true, agents: 'all' });
    lost.close();
  });

  it('has a limit of sixteen, and room again for one that has ended', async () => {
    const { httpPort } = await serveRing();
    const streams = await Promise.all(Array.from({ length: 16 }, () => openEventStream({ httpPort }, 'x')));
    const refused = await fetch(`http://127.0.0.1:${httpPort}/`);
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '5']);
    await refused.arrayBuffer();
    streams[7]?.close();
    let next = refused;
    const closing = new AbortController();
    for (; next.status !== 200; ) next = await fetch(`http://127.0.0.1:${httpPort}/`, { signal: closing.signal });
    closing.abort();
    for (const stream of streams) stream.close();
    // HEAD takes none.
    for (let count = 0; count < 40; count += 1) await fetch(`http://127.0.0.1:${httpPort}/`, { method: 'HEAD' });
    (await openEventStream({ httpPort }, 'x')).close();
  });

  it('costs no memory for readers that do not read, drops them, and serves the others', async () => {
    const { ring, httpPort } = await serveRing({ stallMs: 2_000 });
    const sockets = Array.from({ length: 15 }, () => {
      const socket = connect({ port: httpPort });
      socket.on('error', () => undefined);
      socket.pause();
      socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      addCleanup(() => void socket.destroy());
      return socket;
    });
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const reader = await openEventStream({ httpPort }, 'x');
    let last = 0;
    const fill = async (): Promise<void> => {
      for (let count = 0; count < 500; count += 1) ring.add(large((last += 1)));
      await waitUntil(
        () => reader.lines().some((line) => 'event' in line && line.event.id === String(last)),
        'the reader has all events',
      );
      // What this test keeps is not the server's.
      reader.forget();
    };
    for (let count = 0; count < 4; count += 1) await fill();
    const before = heapInUse();
    // Altogether more than the kernel buffers for one of them.
    for (let count = 0; count < 8; count += 1) await fill();
    const grown = heapInUse() - before;
    assert.ok(grown < 16 * 1024 * 1024, `the heap grew by ${grown} bytes`);
    reader.close();
    // All of them were dropped: there is room for as many.
    const streams: { close(): void }[] = [];
    await waitUntil(() => {
      openEventStream({ httpPort }, 'x').then(
        (one) => streams.push(one),
        () => undefined,
      );
      return streams.length >= 16;
    }, 'sixteen streams are open');
    for (const stream of streams) stream.close();
  });
});

describe('an event on the page', () => {
  const { event } = makeEvent({
    type: 'queue.warning',
    id: 'e1',
    timeMs: Date.UTC(2026, 10, 24),
    agent: 'pulse-agent',
    instance: 'host.example/1',
    data: {
      namespace: 'taskcluster-a',
      queue: 'queue/taskcluster-a/<b>\u202e',
      messages: 4200,
      warnAtMessages: 4000,
      deleteAtMessages: 8000,
    },
  });

  it('is read from a message of the exchange', () => {
    const view = readEventView(Buffer.from(JSON.stringify(event)));
    assert.deepEqual(view, {
      id: 'e1',
      time: '2026-11-24T00:00:00.000Z',
      type: 'queue.warning',
      subject: 'queue/taskcluster-a/<b>\u202e',
      namespace: 'taskcluster-a',
      instance: 'host.example/1',
      data: event.data,
    });
  });

  it('has none of the data that this version does not know', () => {
    const newer = { ...event, data: { ...(event.data as object), contact: 'someone@example.com' } };
    assert.deepEqual(readEventView(JSON.stringify(newer))?.data, {});
    const other = { ...event, type: 'queue.unheard-of', data: { namespace: 'taskcluster-a', secret: 'x' } };
    const view = readEventView(JSON.stringify(other));
    assert.deepEqual([view?.type, view?.namespace, view?.data], ['queue.unheard-of', 'taskcluster-a', {}]);
  });

  for (const [what, content] of [
    ['no JSON', 'hello'],
    ['no object', '[1]'],
    ['no event', '{}'],
    ['no time', JSON.stringify({ ...event, time: 'yesterday' })],
    ['no data', JSON.stringify({ ...event, data: undefined })],
    ['too much', JSON.stringify({ ...event, more: 'x'.repeat(20_000) })],
    ['a long type', JSON.stringify({ ...event, type: 'x'.repeat(101) })],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00])],
  ] as readonly [string, Buffer | string][]) {
    it(`is none with ${what}`, () => assert.equal(readEventView(content), undefined));
  }
});
