import type { Clock } from '../util/clock.ts';
import { WireError } from '../contract/wire-errors.ts';
import type { MethodName } from '../contract/methods.ts';
import {
  hashesEqual,
  nonceKey,
  payloadHash,
  readAuthorization,
  requestDigest,
  SIGNED_PORT,
  signedResource,
} from '../contract/signature.ts';
import type { NonceEntry } from '../store/namespace-record.ts';
import type { NonceStore } from '../store/store.ts';
import type { TaskclusterAuth } from './taskcluster-auth.ts';

/** What of a request is signed. */
export interface SignedRequest {
  readonly method: MethodName;
  readonly content: Buffer;
  readonly correlationId: string;
  /** The reply address as the broker delivered it. */
  readonly replyTo: string;
  /** The reply address as the client signed it. */
  readonly signedReplyTo: string;
  readonly authorization: unknown;
}

/** Who signed a request. */
export interface Signer {
  readonly clientId: string;
  readonly scopes: readonly string[];
  /** The memory of this signature; it tells when the request was first seen and what came of it. */
  readonly nonce: NonceEntry;
}

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
 * skew, so these three are checked here; the cheap ones before Taskcluster is asked, so that junk does not load it.
 *
 * The function throws WireError `AuthenticationFailed` or `ReplayDetected`, and AgentError when Taskcluster or the store
 * does not answer.
 */
export function createAuthenticate(
  parts: AuthenticateParts,
): (request: SignedRequest, signal: AbortSignal) => Promise<Signer> {
  const { authenticator, nonces, clock, audience, maxSkewMs } = parts;

  return async (request, signal) => {
    const { id, ts, nonce, hash } = readAuthorization(request.authorization);
    checkTimestamp(Number(ts) * 1000, clock.nowMs(), maxSkewMs);
    const expectedHash = payloadHash(request.content);
    checkHash(hash, expectedHash);

    const outcome = await authenticator.authenticate(
      {
        method: 'post',
        resource: signedResource(request.method, request.signedReplyTo, request.correlationId),
        host: audience,
        port: SIGNED_PORT,
        authorization: String(request.authorization),
      },
      signal,
    );
    if (outcome.status === 'no-auth') throw new WireError('AuthenticationFailed', 'Taskcluster saw no credentials.');
    if (outcome.status === 'auth-failed') {
      throw new WireError('AuthenticationFailed', `Taskcluster refuses the signature: ${outcome.message}`);
    }
    // The hash that counts is the one that the MAC covers, as Taskcluster read it.
    checkHash(outcome.hash, expectedHash);

    const entry = {
      key: nonceKey(id, nonce),
      replyAddress: request.replyTo,
      correlationId: request.correlationId,
      digest: requestDigest(request.method, expectedHash),
      firstSeenMs: clock.nowMs(),
      // Twice: another agent, whose clock may be behind as far as a client's, accepts the signature for longer.
      acceptableUntilMs: Number(ts) * 1000 + 2 * maxSkewMs,
      outcome: null,
    };
    const remembered = await nonces.remember(entry);
    if (!isRedelivery(entry, remembered)) {
      throw new WireError(
        'ReplayDetected',
        'This nonce was used before by another request. Sign each request with a nonce of its own.',
      );
    }
    return { clientId: outcome.clientId, scopes: outcome.scopes, nonce: remembered };
  };
}

/** What the broker delivers again is the same in all of this. */
function isRedelivery(entry: NonceEntry, first: NonceEntry): boolean {
  return (
    entry.replyAddress === first.replyAddress &&
    entry.correlationId === first.correlationId &&
    entry.digest === first.digest
  );
}

function checkTimestamp(timestampMs: number, nowMs: number, maxSkewMs: number): void {
  if (Math.abs(nowMs - timestampMs) <= maxSkewMs) return;
  const agentTime = new Date(nowMs).toISOString();
  throw new WireError(
    'AuthenticationFailed',
    `The signature's time is ${new Date(timestampMs).toISOString()}, it is ${agentTime} here, and they may differ by ${maxSkewMs / 1000} seconds: set the clock, or sign anew.`,
    { details: { agentTime } },
  );
}

function checkHash(hash: string | undefined, expected: string): void {
  if (hashesEqual(hash, expected)) return;
  throw new WireError(
    'AuthenticationFailed',
    'The signature does not cover this body: its payload hash is another one.',
  );
}
