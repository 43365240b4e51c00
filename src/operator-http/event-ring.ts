import type { EventView, StreamLine } from '../operator-api/event-schemas.ts';

/** Whose events arrive now. */
export interface EventSource {
  readonly agents: 'all' | 'own';
  /** Why only its own. */
  readonly reason?: string;
}

/** Whether a stream has an event of this type about this namespace. */
export type EventFilter = (type: string, namespace: string | undefined) => boolean;

/** What a stream sends next. */
export interface EventsRead {
  /** Lines of JSON; empty: there are none. */
  readonly text: string;
  /** Behind the last entry that was read. */
  readonly cursor: number;
  /** Whether entries before these were dropped in the meantime. */
  readonly hasGap: boolean;
}

/** The latest events, in the order of their arrival. */
export interface EventRing {
  readonly source: EventSource;
  /** An event that is there already is left out: the agent's own come twice. */
  add(event: EventView): void;
  /** From now on other events arrive; some may be missing before. */
  setSource(source: EventSource, hasGap: boolean): void;
  /** Where to begin to read; `hasGap`: that event is not there any more. */
  find(after: string | undefined): { readonly cursor: number; readonly hasGap: boolean };
  /** What follows, as much as fits into a part of an answer. */
  read(cursor: number, filter: EventFilter): EventsRead;
  /** Resolves when something follows, after `timeoutMs`, or when the signal aborts. */
  wait(cursor: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
}

interface Entry {
  /** Undefined: a change of the source, which is for every stream. */
  readonly event: { readonly id: string; readonly type: string; readonly namespace: string | undefined } | undefined;
  readonly line: string;
}

const MAX_ENTRIES = 1_000;
/** The size of a part of an answer, in characters, after which no line is added. */
const PART_SIZE = 32 * 1024;

/** Creates it, empty. */
export function createEventRing(instance: string, initial: EventSource, limit: number = MAX_ENTRIES): EventRing {
  /** By a number that each entry has for good; the oldest is first. */
  const entries = new Map<number, Entry>();
  const numbers = new Map<string, number>();
  const waiting = new Set<() => void>();
  let last = 0;
  let source = initial;

  const push = (entry: Entry): void => {
    last += 1;
    entries.set(last, entry);
    if (entry.event !== undefined) numbers.set(entry.event.id, last);
    if (entries.size > limit) {
      const oldest = last - limit;
      const id = entries.get(oldest)?.event?.id;
      if (id !== undefined) numbers.delete(id);
      entries.delete(oldest);
    }
    for (const wake of waiting) wake();
  };
  const first = (): number => last - entries.size + 1;

  return {
    get source() {
      return source;
    },
    add(event) {
      if (numbers.has(event.id)) return;
      const { id, type, namespace } = event;
      push({ event: { id, type, namespace }, line: lineOf({ event }) });
    },
    setSource(next, hasGap) {
      source = next;
      push({ event: undefined, line: lineOf({ stream: instance, gap: hasGap, ...next }) });
    },
    find(after) {
      const found = after === undefined ? undefined : numbers.get(after);
      return { cursor: found ?? first() - 1, hasGap: after !== undefined && found === undefined };
    },
    read(cursor, filter) {
      const hasGap = cursor < first() - 1;
      let at = hasGap ? first() - 1 : cursor;
      let text = '';
      while (at < last && text.length < PART_SIZE) {
        at += 1;
        const { event, line = '' } = entries.get(at) ?? {};
        if (event === undefined || filter(event.type, event.namespace)) text += line;
      }
      return { text, cursor: at, hasGap };
    },
    wait: (cursor, timeoutMs, signal) =>
      new Promise((resolve) => {
        if (cursor < last || signal.aborted) {
          resolve();
          return;
        }
        const wake = (): void => {
          clearTimeout(timer);
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, timeoutMs).unref();
        waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      }),
  };
}

/** A line of the stream. */
export function lineOf(line: StreamLine): string {
  return `${JSON.stringify(line)}\n`;
}
