import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { create as createAxios, isAxiosError } from 'axios';
import hawk from 'hawk';
import * as z from 'zod';
import type { Clock } from '../util/clock.ts';
import { startDeadline } from '../util/deadline.ts';
import type { Secret } from '../util/secret.ts';
import type { Notifier, NoticeMessage, NoticeOutcome } from './notifier.ts';

/** Options of {@link createTaskclusterNotifier}. */
export interface TaskclusterNotifierOptions {
  readonly rootUrl: string;
  /** It needs the scopes `notify:email:*`, `notify:matrix-room:*` and `notify:slack-channel:*`, or one for each address. */
  readonly clientId: string;
  readonly accessToken: Secret;
  readonly clock: Clock;
  /** How long one attempt may take, in ms; 10,000 when absent. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const JSON_TYPE = 'application/json';
/** A response is one word, or an error that quotes the request. */
const MAX_RESPONSE_BYTES = 1024 * 1024;
/** Network errors after which the service cannot have received the request. */
const NOT_DELIVERED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
/** The client is at fault, not the message; 404: the root URL has no such service. */
const CONFIGURATION_STATUS = new Set([401, 403, 404, 405]);

const errorSchema = z.object({ code: z.string().regex(/^[A-Za-z]{1,40}$/) });

/** The method of the service, and its input. */
interface NotifyCall {
  readonly method: 'email' | 'matrix' | 'slack';
  readonly body: Readonly<Record<string, string>>;
}

function callOf(message: NoticeMessage): NotifyCall {
  switch (message.medium) {
    case 'mail': {
      const { address, subject, content } = message;
      return { method: 'email', body: { address, subject, content } };
    }
    case 'matrix': {
      const { roomId, body, formattedBody } = message;
      // A notice calls no member of the room, whatever it contains, and no other program answers it.
      const form = { msgtype: 'm.notice', format: 'org.matrix.custom.html' };
      return { method: 'matrix', body: { roomId, body, formattedBody, ...form } };
    }
    case 'slack': {
      const { channelId, text } = message;
      return { method: 'slack', body: { channelId, text } };
    }
  }
}

/**
 * Sends messages through Taskcluster's notify service (`notify.email`, `notify.matrix`, `notify.slack`). taskcluster-client is
 * not used: its result is the same for a message that was sent (200) and one that was not (204), and a call that hangs cannot
 * be aborted.
 *
 * @example
 * const notifier = createTaskclusterNotifier({ rootUrl: 'https://tc.example.com', clientId, accessToken, clock });
 */
export function createTaskclusterNotifier(options: TaskclusterNotifierOptions): Notifier {
  const { rootUrl, clientId, accessToken, clock, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const service = `${rootUrl.replace(/\/+$/, '')}/api/notify/v1`;
  const client = createAxios({
    // Notices are rare: the service would have closed most kept connections.
    httpAgent: new HttpAgent({ keepAlive: false }),
    httpsAgent: new HttpsAgent({ keepAlive: false }),
    proxy: false,
    // A redirect could send the message to another server.
    maxRedirects: 0,
    maxContentLength: MAX_RESPONSE_BYTES,
    responseType: 'text',
    validateStatus: () => true,
    // The signature covers exactly these bytes.
    transformRequest: (body: string) => body,
  });
  return {
    async send(message, signal) {
      signal.throwIfAborted();
      const call = callOf(message);
      const url = `${service}/${call.method}`;
      const body = JSON.stringify(call.body);
      const { header } = hawk.client.header(url, 'POST', {
        credentials: { id: clientId, key: accessToken.reveal(), algorithm: 'sha256' },
        timestamp: Math.floor(clock.nowMs() / 1000),
        payload: body,
        contentType: JSON_TYPE,
      });
      const deadline = startDeadline(timeoutMs, signal);
      try {
        const headers = { authorization: header, 'content-type': JSON_TYPE };
        const response = await client.post<unknown>(url, body, { headers, signal: deadline.signal });
        return outcomeOf(call.method, response.status, response.data);
      } catch (error) {
        signal.throwIfAborted();
        const code = deadline.passed ? 'TimedOut' : networkCode(error);
        return { is: 'unavailable', code, mayHaveArrived: !NOT_DELIVERED.has(code) };
      } finally {
        deadline.clear();
      }
    },
  };
}

/**
 * Taskcluster answers 204 to a recent message that is sent again, to a denied address, to too many mails to one address, and
 * to a message for Slack where it has no access to Slack.
 */
function outcomeOf(method: NotifyCall['method'], status: number, body: unknown): NoticeOutcome {
  // Taskcluster answers with one word.
  if (status < 300 && typeof body === 'string' && body.trimStart().startsWith('<')) {
    return { is: 'misconfigured', code: 'PageReceived' };
  }
  if (status === 204) return { is: 'not-sent', code: 'NotSent' };
  if (status >= 200 && status < 300) return { is: 'sent' };
  const code = errorCode(body) ?? `HTTP ${status}`;
  if (CONFIGURATION_STATUS.has(status) || (status >= 300 && status < 400)) return { is: 'misconfigured', code };
  // The service joins a room when it is invited: the notice can still be sent.
  if (method === 'matrix' && code === 'InputError') return { is: 'misconfigured', code: 'NotInRoom' };
  if (status >= 500) return { is: 'unavailable', code, mayHaveArrived: true };
  // The service asks for a later attempt.
  if (status === 408 || status === 429) return { is: 'unavailable', code, mayHaveArrived: false };
  return { is: 'refused', code };
}

/** The `code` of Taskcluster's error. Its message quotes the request, and is dropped here. */
function errorCode(body: unknown): string | undefined {
  if (typeof body !== 'string') return undefined;
  try {
    return errorSchema.safeParse(JSON.parse(body)).data?.code;
  } catch {
    return undefined;
  }
}

/** No AxiosError leaves this file, as it contains the Authorization header and the message. */
function networkCode(error: unknown): string {
  const code = isAxiosError(error) ? error.code : undefined;
  return code !== undefined && /^[A-Z_0-9]{1,40}$/.test(code) ? code : 'NetworkFault';
}
