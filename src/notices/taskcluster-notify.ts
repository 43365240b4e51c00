import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { create as createAxios, isAxiosError } from 'axios';
import hawk from 'hawk';
import * as z from 'zod';
import type { Clock } from '../util/clock.ts';
import { startDeadline } from '../util/deadline.ts';
import type { Secret } from '../util/secret.ts';
import type { Mail, Notifier, SendOutcome } from './notifier.ts';

/** Whose mail service to use, and as whom. */
export interface TaskclusterMailSettings {
  readonly rootUrl: string;
  /** A client with the scope `notify:email:*`, or with one for each address. */
  readonly clientId: string;
  readonly accessToken: Secret;
  readonly clock: Clock;
  /** How long one try may take, in ms; 10,000 when absent. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const JSON_TYPE = 'application/json';
/** An answer is a word, or an error with its request quoted. */
const LONGEST_ANSWER_BYTES = 1024 * 1024;
/** The request did not leave this machine. */
const NEVER_LEFT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
/** The client, not the mail, is wrong; 404: there is no such service under this root URL. */
const CONFIGURATION_STATUS = new Set([401, 403, 404, 405]);

const errorSchema = z.object({ code: z.string().regex(/^[A-Za-z]{1,40}$/) });

/**
 * Sends mail by Taskcluster's notify service (`notify.email`). Not by taskcluster-client: that one gives the same result
 * for a mail that was sent (200) and one that was not (204), and nothing can end a call that hangs.
 *
 * @example
 * const notifier = createTaskclusterMail({ rootUrl: 'https://tc.example.com', clientId, accessToken, clock });
 */
export function createTaskclusterMail(settings: TaskclusterMailSettings): Notifier {
  const { rootUrl, clientId, accessToken, clock, timeoutMs = DEFAULT_TIMEOUT_MS } = settings;
  const url = `${rootUrl.replace(/\/+$/, '')}/api/notify/v1/email`;
  const client = createAxios({
    // Mails are rare: a kept connection would mostly be one that the service has closed meanwhile.
    httpAgent: new HttpAgent({ keepAlive: false }),
    httpsAgent: new HttpsAgent({ keepAlive: false }),
    proxy: false,
    // A redirect could carry the mail elsewhere.
    maxRedirects: 0,
    maxContentLength: LONGEST_ANSWER_BYTES,
    responseType: 'text',
    validateStatus: () => true,
    // The signature is over exactly these bytes.
    transformRequest: (body: string) => body,
  });
  return {
    async send({ address, subject, content }, signal) {
      signal.throwIfAborted();
      const body = JSON.stringify({ address, subject, content } satisfies Mail);
      const { header } = hawk.client.header(url, 'POST', {
        credentials: { id: clientId, key: accessToken.reveal(), algorithm: 'sha256' },
        timestamp: Math.floor(clock.nowMs() / 1000),
        payload: body,
        contentType: JSON_TYPE,
      });
      const deadline = startDeadline(timeoutMs, signal);
      try {
        const headers = { authorization: header, 'content-type': JSON_TYPE };
        const answer = await client.post<unknown>(url, body, { headers, signal: deadline.signal });
        return outcomeOf(answer.status, answer.data);
      } catch (error) {
        signal.throwIfAborted();
        const code = deadline.passed ? 'TimedOut' : networkCode(error);
        return { is: 'unavailable', code, mayHaveArrived: !NEVER_LEFT.has(code) };
      } finally {
        deadline.clear();
      }
    },
  };
}

/** 204 is for a mail that is one of the last ones again, for a denied address, and for too many to one address. */
function outcomeOf(status: number, body: unknown): SendOutcome {
  if (status === 204) return { is: 'not-sent', code: 'NotSent' };
  if (status >= 200 && status < 300) return { is: 'sent' };
  const code = errorCode(body) ?? `HTTP ${status}`;
  if (CONFIGURATION_STATUS.has(status) || (status >= 300 && status < 400)) return { is: 'misconfigured', code };
  if (status >= 500) return { is: 'unavailable', code, mayHaveArrived: true };
  // They ask for patience.
  if (status === 408 || status === 429) return { is: 'unavailable', code, mayHaveArrived: false };
  return { is: 'refused', code };
}

/** The error's `code` of Taskcluster. Its message quotes the request, and is left behind here. */
function errorCode(body: unknown): string | undefined {
  if (typeof body !== 'string') return undefined;
  try {
    return errorSchema.safeParse(JSON.parse(body)).data?.code;
  } catch {
    return undefined;
  }
}

/** No AxiosError leaves this file: it holds the Authorization header and the mail. */
function networkCode(error: unknown): string {
  const code = isAxiosError(error) ? error.code : undefined;
  return code !== undefined && /^[A-Z_0-9]{1,40}$/.test(code) ? code : 'NetworkFault';
}
