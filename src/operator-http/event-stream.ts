import { EVENT_TYPES, isEventType } from '../contract/event-types.ts';
import { formatInstant } from '../contract/fields.ts';
import type { HttpAnswer, IncomingRequest } from '../observe/http-server.ts';
import { eventsQuery, type EventsQuery } from '../operator-api/event-schemas.ts';
import { problemOf } from '../operator-api/endpoint.ts';
import type { Clock, Sleep } from '../util/clock.ts';
import { type EventFilter, type EventRing, lineOf } from './event-ring.ts';
import { errorAnswer, PAGE_HEADERS } from './operator-answers.ts';

interface EventStreamOptions {
  readonly instance: string;
  readonly ring: EventRing;
  readonly clock: Clock;
  readonly sleep: Sleep;
  /** The pause after which a line says that the stream lives, in ms; 15,000 when absent. */
  readonly heartbeatMs?: number;
}

/** Answers requests for the stream of events. */
export type EventStream = (request: IncomingRequest, parameters: Readonly<Record<string, string>>) => HttpAnswer;

const MAX_STREAMS = 16;
const HEARTBEAT_MS = 15_000;
/** How long events are gathered before they are sent, in ms: each part costs a packet for each stream. */
const GATHER_MS = 100;

/**
 * Creates the stream. Each client reads from the ring as fast as it can: one that is slow costs no memory, and finds a gap where
 * the ring has gone on.
 */
export function createEventStream(options: EventStreamOptions): EventStream {
  const { instance, ring, clock, sleep, heartbeatMs = HEARTBEAT_MS } = options;
  let streams = 0;

  async function* lines(query: EventsQuery, filter: EventFilter, signal: AbortSignal): AsyncGenerator<string> {
    let { cursor, hasGap } = ring.find(query.after);
    yield lineOf({ stream: instance, gap: hasGap, ...ring.source });
    let sentAtMs = clock.monotonicMs();
    while (!signal.aborted) {
      const read = ring.read(cursor, filter);
      cursor = read.cursor;
      const text = read.hasGap ? lineOf({ stream: instance, gap: true, ...ring.source }) + read.text : read.text;
      const silentMs = clock.monotonicMs() - sentAtMs;
      if (text !== '' || silentMs >= heartbeatMs) {
        yield text === '' ? lineOf({ heartbeat: formatInstant(clock.nowMs()) }) : text;
        sentAtMs = clock.monotonicMs();
        continue;
      }
      await ring.wait(cursor, heartbeatMs - silentMs, signal);
      await sleep(GATHER_MS, signal).catch(() => undefined);
    }
  }

  return ({ signal }, parameters) => {
    const query = eventsQuery.safeParse(parameters);
    if (!query.success) return errorAnswer(400, 'InputError', problemOf(query.error));
    const filter = filterOf(query.data);
    if ('problem' in filter) return errorAnswer(400, 'InputError', filter.problem);
    if (streams >= MAX_STREAMS) {
      const message = `${MAX_STREAMS} streams are open, and an agent has no more: close another view of events.`;
      return errorAnswer(503, 'Unavailable', message, { 'retry-after': '5' });
    }
    if (!signal.aborted) {
      streams += 1;
      signal.addEventListener('abort', () => (streams -= 1), { once: true });
    }
    return {
      status: 200,
      contentType: 'application/x-ndjson',
      body: lines(query.data, filter.filter, signal),
      // A proxy that gathers parts would delay events.
      headers: { ...PAGE_HEADERS, 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no' },
    };
  };
}

function filterOf({ types, namespaces }: EventsQuery): { readonly filter: EventFilter } | { readonly problem: string } {
  const wanted = types?.split(',');
  const names = namespaces === undefined ? undefined : new Set(namespaces.split(','));
  const kinds = new Set(Object.keys(EVENT_TYPES).map(kindOf));
  const unknown = wanted?.find((type) => !isEventType(type) && !kinds.has(type));
  if (unknown !== undefined) return { problem: `There are no events of type ${unknown}.` };
  const isWanted = wanted === undefined ? undefined : new Set(wanted);
  return {
    filter: (type, namespace) =>
      (isWanted === undefined || isWanted.has(type) || isWanted.has(kindOf(type))) &&
      (names === undefined || (namespace !== undefined && names.has(namespace))),
  };
}

/** The first word of a type. */
function kindOf(type: string): string {
  return type.split('.', 1)[0] ?? '';
}
