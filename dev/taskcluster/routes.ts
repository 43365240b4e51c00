import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { crypto as hawkCrypto, utils } from 'hawk';
import type { z } from 'zod';
import { ApiError } from './api-error.ts';
import { authenticateHawk, type HawkDirectory, type HawkReply, hawkRequestSchema } from './authenticate-hawk.ts';
import {
  type Behaviour,
  type BehaviourInput,
  behaviourRequestSchema,
  misbehave,
  type ServiceName,
} from './behaviour.ts';
import { authorize } from './authorize.ts';
import { type ChatRooms, matrixSchema, slackSchema } from './chat.ts';
import { emailSchema, type Mailbox } from './email.ts';
import { sameText } from './ext.ts';

/** How often each method was called, and the highest number of concurrent authenticateHawk calls. */
export interface CallCounts {
  authenticateHawk: number;
  authenticateHawkMostAtOnce: number;
  email: number;
  matrix: number;
  slack: number;
  ping: number;
}

/** The methods whose calls a test can wait for. */
export type CountedMethod = 'authenticateHawk' | NotifyMethod;

type NotifyMethod = 'email' | 'matrix' | 'slack';

/** What the routes read and change. */
export interface RouteState {
  readonly hawk: HawkDirectory;
  readonly mailbox: Mailbox;
  readonly chatRooms: ChatRooms;
  readonly behaviours: Readonly<Record<ServiceName, Behaviour>>;
  readonly behave: (behaviour: BehaviourInput, service?: ServiceName) => void;
  readonly calls: CallCounts;
  readonly onCall: (method: CountedMethod) => void;
  /** Aborts delayed answers. */
  readonly signal: AbortSignal;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly state: RouteState;
}

interface Route {
  readonly name: string;
  readonly service?: ServiceName;
  /** A method of the notify service. */
  readonly method?: NotifyMethod;
  readonly serve: (exchange: Exchange) => Promise<void> | void;
}

const LONGEST_BODY_BYTES = 1024 * 1024;

const ping: Route['serve'] = ({ response, state }) => {
  state.calls.ping += 1;
  answer(response, 200, { alive: true, uptime: process.uptime() });
};

const ROUTES: Readonly<Record<string, Route>> = {
  'POST /api/auth/v1/authenticate-hawk': { name: 'authenticateHawk', service: 'auth', serve: serveAuthenticateHawk },
  'POST /api/notify/v1/email': notifyRoute('email', emailSchema, {
    scope: ({ address }) => `notify:email:${address}`,
    send: (state, email) => state.mailbox.send(email),
  }),
  'POST /api/notify/v1/matrix': notifyRoute('matrix', matrixSchema, {
    scope: ({ roomId }) => `notify:matrix-room:${roomId}`,
    send: (state, post) => state.chatRooms.postToMatrix(post),
  }),
  'POST /api/notify/v1/slack': notifyRoute('slack', slackSchema, {
    scope: ({ channelId }) => `notify:slack-channel:${channelId}`,
    send: (state, post) => state.chatRooms.postToSlack(post),
  }),
  'GET /api/auth/v1/ping': { name: 'ping', service: 'auth', serve: ping },
  'GET /api/notify/v1/ping': { name: 'ping', service: 'notify', serve: ping },
  'PUT /_dev/behaviour': { name: 'behaviour', serve: serveBehaviour },
  'GET /_dev/calls': { name: 'calls', serve: ({ response, state }) => answer(response, 200, state.calls) },
  'GET /_dev/mails': { name: 'mails', serve: ({ response, state }) => answer(response, 200, state.mailbox.sent) },
  'GET /_dev/posts': {
    name: 'posts',
    serve: ({ response, state: { chatRooms } }) =>
      answer(response, 200, { matrix: chatRooms.matrix, slack: chatRooms.slack }),
  },
};

/** Serves the two services and, under `/_dev/`, the controls for other processes. */
export function createRoutes(state: RouteState): RequestListener {
  let authenticating = 0;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const route = ROUTES[`${request.method} ${request.url?.split('?')[0]}`];
    let body = Buffer.alloc(0);
    try {
      body = await readBody(request);
      if (route === undefined) throw new ApiError('ResourceNotFound', `No ${request.method} ${request.url} here`);
      if (route.name === 'authenticateHawk') {
        authenticating += 1;
        // A request that is never answered counts until its caller closes the connection.
        response.once('close', () => (authenticating -= 1));
        state.calls.authenticateHawk += 1;
        state.calls.authenticateHawkMostAtOnce = Math.max(state.calls.authenticateHawkMostAtOnce, authenticating);
      }
      if (route.method !== undefined) state.calls[route.method] += 1;
      if (route.name === 'authenticateHawk') state.onCall('authenticateHawk');
      else if (route.method !== undefined) state.onCall(route.method);
      const behaviour = route.service === undefined ? undefined : state.behaviours[route.service];
      if (behaviour !== undefined && !(await misbehave(behaviour, response, state.signal))) return;
      await route.serve({ request, response, body, state });
    } catch (error) {
      if (response.destroyed) return;
      const known = error instanceof ApiError ? error : new ApiError('InternalServerError', 'Internal Server Error');
      answer(response, known.status, known.toBody(route?.name ?? 'none', body.toString('utf8')));
    }
  };
  return (request, response) => void serve(request, response);
}

async function serveAuthenticateHawk({ request, response, body, state }: Exchange): Promise<void> {
  const input = parseBody(hawkRequestSchema, request, body);
  answer(response, 200, await authenticateHawk(input, state.hawk));
}

/** A method of the notify service: it checks the input, then the scope, then sends. */
function notifyRoute<T extends z.ZodType>(
  method: NotifyMethod,
  schema: T,
  {
    scope,
    send,
  }: { scope: (input: z.output<T>) => string; send: (state: RouteState, input: z.output<T>) => 200 | 204 },
): Route {
  return {
    name: method,
    service: 'notify',
    method,
    async serve({ request, response, body, state }) {
      const input = parseBody(schema, request, body);
      authorize(await callerOf(request, body, state.hawk), scope(input));
      const status = send(state, input);
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(status === 200 ? 'OK' : undefined);
    },
  };
}

function serveBehaviour({ request, response, body, state }: Exchange): void {
  const { behaviour, service } = parseBody(behaviourRequestSchema, request, body);
  state.behave(behaviour, service);
  answer(response, 200, state.behaviours);
}

/** The signer of this HTTP request. */
async function callerOf(request: IncomingMessage, body: Buffer, directory: HawkDirectory): Promise<HawkReply> {
  const host = utils.parseHost({ headers: { ...request.headers } });
  if (host === null) throw new ApiError('AuthenticationFailed', 'The Host header is malformed');
  const { authorization } = request.headers;
  const reply = await authenticateHawk(
    {
      method: 'post',
      resource: request.url ?? '',
      host: host.name,
      // Despite its type, a string when the header has a port.
      port: Number.parseInt(`${host.port}`, 10),
      ...(authorization === undefined ? {} : { authorization }),
    },
    directory,
  );
  if (reply.status !== 'auth-success' || reply.hash === undefined) return reply;
  const expected = hawkCrypto.calculatePayloadHash(textOf(body), 'sha256', request.headers['content-type'] ?? '');
  return sameText(reply.hash, expected) ? reply : { status: 'auth-failed', message: 'Invalid payload hash' };
}

async function readBody(request: IncomingMessage): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LONGEST_BODY_BYTES) throw new ApiError('InputTooLarge', 'The request body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Without a byte order mark. */
function textOf(body: Buffer): string {
  return new TextDecoder().decode(body);
}

function parseBody<T extends z.ZodType>(schema: T, request: IncomingMessage, body: Buffer): z.output<T> {
  const contentType = request.headers['content-type'] ?? '';
  if (!contentType.startsWith('application/json')) {
    throw new ApiError(
      'MalformedPayload',
      `Payload must be JSON with content-type: application/json, not ${contentType}`,
    );
  }
  const text = textOf(body);
  let payload: unknown;
  try {
    payload = text === '' ? {} : JSON.parse(text);
  } catch {
    throw new ApiError('MalformedPayload', 'Failed to parse JSON');
  }
  if (typeof payload !== 'object' || payload === null) {
    throw new ApiError('MalformedPayload', 'Failed to parse JSON: Must be an object or array');
  }
  const result = schema.safeParse(payload);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `  * data/${issue.path.join('/')}: ${issue.message}`);
  throw new ApiError(
    'InputValidationError',
    `Schema Validation Failed!\nRejecting schema:\nErrors:\n${faults.join('\n')}`,
  );
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(body));
}
