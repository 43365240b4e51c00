import type { Clock } from '../util/clock.ts';
import { WireError } from '../contract/wire-errors.ts';
import { formatInstant } from '../contract/fields.ts';
import type { MethodName } from '../contract/methods.ts';
import { DIRECT_REPLY_TO } from '../contract/names.ts';
import {
  hashesEqual,
  nonceKey,
  payloadHash,
  readAuthorization,
  requestDigest,
  SIGNED_PORT,
  signedResource,
} from '../contract/signature.ts';
import type { TaskclusterAuth } from './taskcluster-auth.ts';
import type { NonceStore } from '../store/nonce-records.ts';
import { createUseNonce, type NonceUse } from './nonce-use.ts';

/** The parts of a request that its signature covers. */
export interface SignedRequest {
  readonly method: MethodName;
  readonly content: Buffer;
  readonly correlationId: string;
  /** The reply address as RabbitMQ delivered it. The client signed the literal of direct reply-to, which RabbitMQ replaced. */
  readonly replyTo: string;
  readonly authorization: unknown;
}

/** Who signed a request. */
export interface Signer {
  readonly clientId: string;
  readonly scopes: readonly string[];
  /** When the request was first seen, and its outcome. Not stored yet for the methods of {@link STORING_METHODS}. */
  readonly nonce: NonceUse;
}

/** Methods whose first write stores the nonce, so that both are one commit. No answer leaves before it is stored. */
const STORING_METHODS: readonly MethodName[] = ['claim-namespace'];

/** What {@link createAuthenticate} works with. */
export interface AuthenticateParts {
  readonly authenticator: TaskclusterAuth;
  readonly nonces: NonceStore;
  readonly clock: Clock;
  readonly audience: string;
  readonly maxSkewMs: number;
}

/**
 * Makes the function that checks a signature. Taskcluster checks neither payload hash nor nonce and allows 15 minutes of
 * skew, so these three are checked here; the cheap checks come before the call to Taskcluster, so that invalid requests do
 * not load it.
 *
 * The function throws WireError `AuthenticationFailed` or `ReplayDetected`, and AgentError if Taskcluster or the store does
 * not answer.
 */
export function createAuthenticate(
  parts: AuthenticateParts,
): (request: SignedRequest, signal: AbortSignal) => Promise<Signer> {
  const { authenticator, nonces, clock, audience, maxSkewMs } = parts;
  const useNonce = createUseNonce(nonces);

  return async (request, signal) => {
    const { id, ts, nonce, hash } = readAuthorization(request.authorization);
    checkTimestamp(Number(ts) * 1000, clock.nowMs(), maxSkewMs);
    const expectedHash = payloadHash(request.content);
    checkHash(hash, expectedHash);

    const outcome = await authenticator.authenticate(
      {
        method: 'post',
        resource: signedResource(request.method, DIRECT_REPLY_TO, request.correlationId),
        host: audience,
        port: SIGNED_PORT,
        authorization: String(request.authorization),
      },
      signal,
    );
    if (outcome.status === 'no-auth') throw new WireError('AuthenticationFailed', 'Taskcluster found no credentials.');
    if (outcome.status === 'auth-failed') {
      throw new WireError('AuthenticationFailed', rejection(outcome.message, audience));
    }
    // The MAC covers the hash as Taskcluster read it, so that one counts.
    checkHash(outcome.hash, expectedHash);

    const entry = {
      key: nonceKey(id, nonce),
      replyAddress: request.replyTo,
      correlationId: request.correlationId,
      digest: requestDigest(request.method, expectedHash),
      firstSeenMs: clock.nowMs(),
      // Twice the skew: the clock of another agent may be behind by as much as that of a client.
      acceptableUntilMs: Number(ts) * 1000 + 2 * maxSkewMs,
      outcome: null,
    };
    const nonceUse = await useNonce(entry);
    try {
      if (!STORING_METHODS.includes(request.method)) await nonceUse.remember();
      // The caller waits no longer, so that it would not end the use.
      signal.throwIfAborted();
    } catch (error) {
      nonceUse.end();
      throw error;
    }
    return { clientId: outcome.clientId, scopes: outcome.scopes, nonce: nonceUse };
  };
}

/** Taskcluster does not say which of the inputs of a MAC is wrong, so all of them are named. */
function rejection(message: string, audience: string): string {
  const text = `Taskcluster rejected the signature: ${message}`;
  if (!/\bbad mac\b/i.test(message)) return text;
  return `${text}: either the access token is wrong, or the audience, the method, the reply address, the correlation id or the hash of the body differs from what was signed. This agent's audience is ${audience}.`;
}

function checkTimestamp(timestampMs: number, nowMs: number, maxSkewMs: number): void {
  if (Math.abs(nowMs - timestampMs) <= maxSkewMs) return;
  const agentTime = formatInstant(nowMs);
  throw new WireError(
    'AuthenticationFailed',
    `Signature timestamp ${formatInstant(timestampMs)} is more than ${maxSkewMs / 1000} s from agent time ${agentTime}. Check the client clock or re-sign.`,
    { details: { agentTime } },
  );
}

function checkHash(hash: string | undefined, expected: string): void {
  if (hashesEqual(hash, expected)) return;
  throw new WireError('AuthenticationFailed', 'The signature does not cover this body: the payload hash differs.');
}
