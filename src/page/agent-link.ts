import { createObservable } from './observable-value.ts';
import { noteAgentTime } from './page-clock.ts';
import { queryText } from './page-routes.ts';
import { sessionToken } from './session-token.ts';

/**
 * - `asking`: no answer came yet;
 * - `answers`: the last question was answered;
 * - `token`: the agent wants a token, or another one;
 * - `unreachable`: the agent does not answer.
 */
export interface LinkState {
  readonly is: 'asking' | 'answers' | 'token' | 'unreachable';
  /** Since when it is so, in ms since the epoch. */
  readonly sinceMs: number;
  /** When the last answer came. */
  readonly answeredMs?: number | undefined;
  /** Why, as a sentence. */
  readonly reason?: string | undefined;
}

export const agentLink = createObservable<LinkState>({ is: 'asking', sinceMs: Date.now() });

/** A question that got no answer, or a refusal. */
export class ApiFailure extends Error {
  /** `token`, `unreachable`, or the agent's code. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const PATIENCE_MS = 20_000;

/**
 * Asks the agent, and returns the body of its answer.
 *
 * @param path relative to the page, so that it works below any path of a reverse proxy
 * @throws ApiFailure; the signal's reason
 */
export async function askAgent<T>(
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
  signal: AbortSignal,
): Promise<T> {
  const response = await openAnswer(path, query, AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]), signal);
  const body = (await response.json().catch((cause: unknown) => {
    signal.throwIfAborted();
    throw unreachable('Its answer was cut off.', cause);
  })) as T;
  noteAnswer();
  return body;
}

/** Asks the agent, and returns the answer before its body has arrived. */
export async function openAnswer(
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
  signal: AbortSignal,
  cancelled: AbortSignal = signal,
): Promise<Response> {
  const token = sessionToken.get();
  const headers = new Headers({ accept: 'application/json' });
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  const response = await fetch(`./api/v1/${path}${queryText(query)}`, {
    headers,
    signal,
    cache: 'no-store',
    credentials: 'same-origin',
    redirect: 'manual',
  }).catch((cause: unknown) => {
    cancelled.throwIfAborted();
    throw unreachable('It does not answer.', cause);
  });
  if (response.type === 'opaqueredirect') throw unreachable('A login is in between: load the page again.');
  if (response.ok) {
    noteAgentTime(response.headers.get('date'));
    return response;
  }
  throw await refusalOf(response, token !== undefined);
}

/** Notes that the agent answered. */
export function noteAnswer(): void {
  const state = agentLink.get();
  const nowMs = Date.now();
  agentLink.set({ is: 'answers', sinceMs: state.is === 'answers' ? state.sinceMs : nowMs, answeredMs: nowMs });
}

function unreachable(reason: string, cause?: unknown): ApiFailure {
  noteTrouble('unreachable', reason);
  return new ApiFailure('unreachable', reason, { cause });
}

async function refusalOf(response: Response, hadToken: boolean): Promise<ApiFailure> {
  const { code, message } = await errorOf(response);
  if (response.status === 401 || response.status === 429) {
    const wrong = hadToken ? 'The agent does not accept this token.' : undefined;
    noteTrouble('token', response.status === 429 ? message : wrong);
    return new ApiFailure('token', message ?? 'The agent wants a token.');
  }
  // A reverse proxy answers so while the agent is away.
  if (response.status >= 502 && response.status <= 504 && code === undefined) {
    return unreachable(`A server in between answered ${response.status}.`);
  }
  noteAnswer();
  return new ApiFailure(code ?? `HTTP ${response.status}`, message ?? `The agent answered ${response.status}.`);
}

async function errorOf(response: Response): Promise<{ readonly code?: string; readonly message?: string }> {
  try {
    const { error } = (await response.json()) as { error?: { code?: string; message?: string } };
    return error ?? {};
  } catch {
    return {};
  }
}

function noteTrouble(is: 'token' | 'unreachable', reason: string | undefined): void {
  const state = agentLink.get();
  const sinceMs = state.is === is ? state.sinceMs : Date.now();
  agentLink.set({ is, sinceMs, answeredMs: state.answeredMs, reason });
}
