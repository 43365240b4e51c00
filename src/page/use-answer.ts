import { useEffect, useState } from 'preact/hooks';
import { ApiFailure, agentLink, askAgent } from './agent-link.ts';
import { queryText } from './page-routes.ts';
import { pauseBefore } from './retry-pace.ts';
import { sessionToken } from './session-token.ts';

/** What a view knows of an answer of the agent. */
export interface KnownAnswer<T> {
  /** The newest answer; while another page or order is awaited, that of before. */
  readonly data: T | undefined;
  /** Whether `data` answers another question: that of before. */
  readonly isPrevious: boolean;
  /** Why the newest question was refused. An agent that does not answer is shown for the whole page. */
  readonly failure: ApiFailure | undefined;
}

/** The newest answers, so that a view that is opened again is not empty. */
const kept = new Map<string, unknown>();
const MAX_KEPT = 40;

/** Asks the agent now and every few seconds while the page is visible. */
export function useAnswer<T>(
  path: string,
  query: Readonly<Record<string, string | number | undefined>> = {},
  everyMs = 5000,
): KnownAnswer<T> {
  const key = `${path}${queryText(query)}`;
  const [answered, setAnswered] = useState<{ readonly key: string; readonly data: T }>();
  const [refused, setRefused] = useState<{ readonly key: string; readonly failure: ApiFailure }>();
  useEffect(() => {
    const stop = new AbortController();
    void refresh({
      ask: async () => {
        const data = await askAgent<T>(path, query, stop.signal);
        keep(key, data);
        setAnswered({ key, data });
        setRefused(undefined);
      },
      onRefusal: (failure) => setRefused({ key, failure }),
      everyMs,
      signal: stop.signal,
    });
    return () => stop.abort();
    // The key has all that the question depends on.
  }, [key, everyMs]);
  const failure = refused?.key === key ? refused.failure : undefined;
  if (answered?.key === key) return { data: answered.data, isPrevious: false, failure };
  const known = kept.get(key) as T | undefined;
  return { data: known ?? answered?.data, isPrevious: known === undefined, failure };
}

interface Refreshing {
  readonly ask: () => Promise<void>;
  readonly onRefusal: (failure: ApiFailure) => void;
  readonly everyMs: number;
  readonly signal: AbortSignal;
}

async function refresh({ ask, onRefusal, everyMs, signal }: Refreshing): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      await ask();
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      if (!(error instanceof ApiFailure)) throw error;
      if (error.code !== 'unreachable' && error.code !== 'token') onRefusal(error);
      if (error.code === 'token') await nextToken(signal);
    }
    await pause(pauseBefore(failures, everyMs), signal);
  }
}

/** Waits, and while the page is hidden for as long as that; a new token or an agent that is back ends it. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let isOver = false;
    const wasAway = agentLink.get().is !== 'answers';
    const end = (): void => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', check);
      unsubscribe();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const check = (): void => {
      if (isOver && !document.hidden) end();
    };
    const timer = setTimeout(() => {
      isOver = true;
      check();
    }, ms);
    const unsubscribe = agentLink.subscribe(() => {
      if (wasAway && agentLink.get().is === 'answers') {
        isOver = true;
        check();
      }
    });
    document.addEventListener('visibilitychange', check);
    signal.addEventListener('abort', end);
  });
}

function nextToken(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      unsubscribe();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const unsubscribe = sessionToken.subscribe(end);
    signal.addEventListener('abort', end);
  });
}

function keep(key: string, data: unknown): void {
  kept.delete(key);
  kept.set(key, data);
  const [oldest] = kept.keys();
  if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
}
