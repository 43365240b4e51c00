import type { HttpAnswer, HttpHandler, IncomingRequest } from '../observe/http-server.ts';
import { type ApiEndpoint, readEndpoint } from '../operator-api/endpoint.ts';
import { EVENT_STREAM } from '../operator-api/event-schemas.ts';
import { AgentError } from '../util/agent-errors.ts';
import { startDeadline } from '../util/deadline.ts';
import type { Log } from '../util/log.ts';
import { createSemaphore } from '../util/semaphore.ts';
import type { EventStream } from './event-stream.ts';
import { type GuardSettings, refusalOf } from './guard.ts';
import { dataAnswer, errorAnswer } from './operator-answers.ts';
import type { PageFiles } from './page-files.ts';
import { matchPath, readParameters } from './request-parameters.ts';
import type { TokenCheck } from './token-check.ts';

/** What answers requests for the page for operators and its data. */
export interface OperatorHandlerParts {
  readonly settings: GuardSettings;
  readonly checkToken: TokenCheck;
  /** Undefined while the agent starts. */
  readonly endpoints: () => readonly ApiEndpoint[] | undefined;
  readonly events: EventStream;
  readonly files: PageFiles;
  readonly log: Log;
}

/** Requests for data that are answered at the same time, and those that wait for it, at most. */
const MAX_READS = 8;
const MAX_WAITING = 64;
const READ_TIMEOUT_MS = 10_000;

const BUSY = errorAnswer(503, 'Unavailable', 'Too many requests are being answered. Try again in a second.', {
  'retry-after': '1',
});

const STARTING = errorAnswer(503, 'Unavailable', 'The agent is starting. /readyz says what it waits for.', {
  'retry-after': '2',
});

/** Answers all requests but those for health and metrics. */
export function createOperatorHandler(parts: OperatorHandlerParts): HttpHandler {
  const { settings, checkToken, endpoints, events, files, log } = parts;
  const reads = createSemaphore(MAX_READS, { maxWaiting: MAX_WAITING });

  const read = async (
    endpoint: ApiEndpoint,
    parameters: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<HttpAnswer> => {
    if (reads.waiting >= MAX_WAITING) return BUSY;
    const release = await reads.acquire(signal);
    const deadline = startDeadline(READ_TIMEOUT_MS, signal);
    try {
      const result = await deadline.race(readEndpoint(endpoint, parameters, deadline.signal));
      if (result.is === 'invalid') return errorAnswer(400, 'InputError', result.problem);
      if (result.is === 'missing') return errorAnswer(404, 'ResourceNotFound', 'There is no such thing.');
      return dataAnswer(result.body);
    } catch (error) {
      if (signal.aborted) return BUSY;
      if (error instanceof AgentError) return errorAnswer(503, error.code, error.message, { 'retry-after': '2' });
      if (deadline.passed) {
        return errorAnswer(503, 'Unavailable', `There was no answer within ${READ_TIMEOUT_MS / 1000} s. Try again.`);
      }
      log.error({ code: 'http_request_failed', err: error, path: endpoint.path }, 'could not answer an HTTP request');
      return errorAnswer(500, 'InternalServerError', 'Internal error of the agent. Its log has the cause.');
    } finally {
      deadline.clear();
      release();
    }
  };

  const answerData = async (request: IncomingRequest): Promise<HttpAnswer> => {
    const refused = await checkToken(request);
    if (refused !== undefined) return refused;
    const { path, query, signal } = request;
    const known = endpoints();
    if (known === undefined) return STARTING;
    for (const endpoint of [EVENT_STREAM, ...known]) {
      const named = matchPath(endpoint.path, path);
      if (named === undefined) continue;
      const found = readParameters(query, named);
      if ('problem' in found) return errorAnswer(400, 'InputError', found.problem);
      return 'read' in endpoint ? await read(endpoint, found.parameters, signal) : events(request, found.parameters);
    }
    return errorAnswer(404, 'ResourceNotFound', 'There is no such path.');
  };

  return async (request) => {
    const isData = request.path.startsWith('/api/');
    const refusal = refusalOf(request, isData ? 'data' : 'file', settings);
    if (refusal !== undefined) return refusal;
    return isData ? await answerData(request) : await files.answer(request);
  };
}
