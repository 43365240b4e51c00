import { useEffect, useState } from 'preact/hooks';
import type { EventView } from '../operator-api/schemas.ts';
import { ApiFailure, agentLink, noteAnswer, openAnswer } from './agent-link.ts';
import { appendEvents, completeLines, type EventBuffer } from './event-buffer.ts';
import { parseStreamLine, type StreamNote } from './event-texts.ts';
import { pauseBefore } from './retry-pace.ts';
import { sessionToken } from './session-token.ts';

/** The events that a view follows. */
export interface FollowedEvents {
  readonly buffer: EventBuffer<EventView>;
  /** Whether the stream is open. */
  readonly isLive: boolean;
  /** Why it is not, where the agent refuses it. */
  readonly refusal: string | undefined;
  /** Whose events they are, and whether some may be missing. */
  readonly note: StreamNote | undefined;
}

const NOTHING: FollowedEvents = {
  buffer: { events: [], arrived: 0 },
  isLive: false,
  refusal: undefined,
  note: undefined,
};

/** Drawing takes this long at most every so often, in ms: a hundred events a second cost ten drawings. */
const DRAW_EVERY_MS = 100;

/** The agent writes a line every 15 s at least: a stream that is silent for longer is dead. */
const SILENCE_MS = 40_000;

/** Follows the events while the view is shown. After an interruption it resumes behind the last event that arrived. */
export function useEvents(query: { readonly namespaces?: string } = {}): FollowedEvents {
  const { namespaces } = query;
  const [followed, setFollowed] = useState(NOTHING);
  useEffect(() => {
    const stop = new AbortController();
    const batch = createBatch(stop.signal, (events) =>
      setFollowed((before) => ({ ...before, buffer: appendEvents(before.buffer, events) })),
    );
    setFollowed(NOTHING);
    void follow({
      query: { namespaces },
      signal: stop.signal,
      onEvent: batch,
      onNote: (note) => setFollowed((before) => ({ ...before, note })),
      onState: (isLive, refusal) => setFollowed((before) => ({ ...before, isLive, refusal })),
    });
    return () => stop.abort();
  }, [namespaces]);
  return followed;
}

/** Collects events and hands them over together, before the next drawing of the browser. */
function createBatch(signal: AbortSignal, flush: (events: readonly EventView[]) => void): (event: EventView) => void {
  let waiting: EventView[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  signal.addEventListener('abort', () => clearTimeout(timer));
  return (event) => {
    waiting.push(event);
    timer ??= setTimeout(() => {
      requestAnimationFrame(() => {
        timer = undefined;
        const events = waiting;
        waiting = [];
        if (!signal.aborted) flush(events);
      });
    }, DRAW_EVERY_MS);
  };
}

interface Following {
  readonly query: { readonly namespaces: string | undefined };
  readonly signal: AbortSignal;
  readonly onEvent: (event: EventView) => void;
  readonly onNote: (note: StreamNote) => void;
  readonly onState: (isLive: boolean, refusal: string | undefined) => void;
}

async function follow({ query, signal, onEvent, onNote, onState }: Following): Promise<void> {
  let after: string | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      await readStream({ ...query, after }, signal, {
        onOpen: () => {
          failures = 0;
          onState(true, undefined);
        },
        onLine: (line) => {
          const read = parseStreamLine(line);
          if (read === undefined) return;
          if ('note' in read) return onNote(read.note);
          after = read.event.id;
          onEvent(read.event);
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      const isRefused = error instanceof ApiFailure && error.code !== 'unreachable' && error.code !== 'token';
      onState(false, isRefused ? error.message : undefined);
    }
    if (signal.aborted) return;
    onState(false, undefined);
    failures += 1;
    await waitToResume(pauseBefore(failures, 1000), signal);
  }
}

interface StreamReader {
  readonly onOpen: () => void;
  readonly onLine: (line: string) => void;
}

async function readStream(
  query: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
  { onOpen, onLine }: StreamReader,
): Promise<void> {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE_MS);
  try {
    const { body } = await openAnswer('events', query, AbortSignal.any([signal, silent.signal]), signal);
    if (body === null) return;
    noteAnswer();
    onOpen();
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MS);
      const split = completeLines(rest, value);
      rest = split.rest;
      for (const line of split.lines) onLine(line);
    }
  } finally {
    clearTimeout(timer);
    silent.abort();
  }
}

/** Waits; an agent that answers again, or another token, ends it. */
function waitToResume(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      unsubscribe.forEach((one) => one());
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    const wasAway = agentLink.get().is !== 'answers';
    const unsubscribe = [
      agentLink.subscribe(() => wasAway && agentLink.get().is === 'answers' && end()),
      sessionToken.subscribe(end),
    ];
    signal.addEventListener('abort', end);
  });
}
