import { createHash, timingSafeEqual } from 'node:crypto';
import type { HttpAnswer, IncomingRequest } from '../observe/http-server.ts';
import type { Clock, Sleep } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import type { Secret } from '../util/secret.ts';
import { takeToken, type TokenBucket } from '../util/token-bucket.ts';
import { errorAnswer } from './operator-answers.ts';

interface TokenCheckOptions {
  readonly token: Secret;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly log: Log;
}

/** Undefined: the request has the token. */
export type TokenCheck = (request: IncomingRequest) => Promise<HttpAnswer | undefined>;

/** Wrong tokens of all clients together: a browser with an old one sends some in a row. */
const FAILURES = { burst: 20, perMinute: 60 } as const;
/** How long the answer to a wrong token takes, in ms. */
const FAILURE_DELAY_MS = 300;
/** The pause between two lines in the log about wrong tokens, in ms. */
const LOG_EVERY_MS = 60_000;

const HOW = 'Open the page with the link that "pulse-agent page" prints.';

/**
 * Checks the token of operators. Wrong ones are answered slowly, and, when there are many, not at all; a request with the right
 * one is never delayed, whatever others send.
 */
export function createTokenCheck({ token, clock, sleep, log }: TokenCheckOptions): TokenCheck {
  const wanted = digestOf(token.reveal());
  let failures: TokenBucket | undefined;
  let unlogged = 0;
  let loggedAtMs: number | undefined;

  const report = (): void => {
    const nowMs = clock.monotonicMs();
    unlogged += 1;
    if (loggedAtMs !== undefined && nowMs - loggedAtMs < LOG_EVERY_MS) return;
    log.warn({ code: 'operator_token_refused', requests: unlogged }, 'requests with a wrong token of operators');
    loggedAtMs = nowMs;
    unlogged = 0;
  };

  return async ({ headers, signal }) => {
    const { authorization } = headers;
    if (authorization === undefined) {
      return errorAnswer(401, 'AuthenticationFailed', `The token is missing. ${HOW}`, { 'www-authenticate': 'Bearer' });
    }
    const [, given] = /^bearer +(\S+)$/i.exec(authorization) ?? [];
    if (timingSafeEqual(digestOf(given ?? ''), wanted)) return undefined;
    report();
    const taken = takeToken(failures, FAILURES, clock.monotonicMs());
    failures = taken.bucket;
    if (taken.waitMs > 0) {
      const retryAfter = { 'retry-after': String(Math.ceil(taken.waitMs / 1000)) };
      return errorAnswer(429, 'AuthenticationFailed', 'Too many requests have a wrong token.', retryAfter);
    }
    await sleep(FAILURE_DELAY_MS, signal).catch(() => undefined);
    const challenge = { 'www-authenticate': 'Bearer error="invalid_token"' };
    return errorAnswer(401, 'AuthenticationFailed', `The token is wrong. ${HOW}`, challenge);
  };
}

/** Of one length, whatever the length of the token. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
