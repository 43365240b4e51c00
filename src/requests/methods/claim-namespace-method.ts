import { WireError } from '../../contract/wire-errors.ts';
import { formatInstant } from '../../contract/fields.ts';
import type { ClaimResult } from '../../namespaces/claim/claim.ts';
import type { SignedClaim } from '../../namespaces/claim/decide-claim.ts';
import type { Reporters } from '../../reporters.ts';
import { type MethodHandler, requesterOf } from '../method.ts';

/** What the method works with. */
export interface ClaimMethodParts {
  readonly claimNamespace: (claim: SignedClaim, signal: AbortSignal) => Promise<ClaimResult>;
  readonly requireSealedReplies: boolean;
  readonly reporters: Pick<Reporters, 'namespaceClaimed'>;
}

/** Returns credentials for a namespace. The caller seals the result if the body has a `replyKey`. */
export function claimNamespaceMethod(parts: ClaimMethodParts): MethodHandler<'claim-namespace'> {
  return async (body, context) => {
    if (parts.requireSealedReplies && body.replyKey === undefined) {
      throw new WireError('InputError', 'The field replyKey is missing: this agent only sends sealed credentials.', {
        details: { field: 'replyKey' },
      });
    }
    const result = await parts.claimNamespace(
      {
        namespace: body.namespace,
        expiresMs: body.expiresMs,
        contact: body.contact,
        queueLimits: body.queueLimits,
        claimedBy: context.signer.clientId,
        nonce: context.signer.nonce,
      },
      context.signal,
    );
    parts.reporters.namespaceClaimed(result, requesterOf(context));
    const { connectionString, connectionStrings } = result;
    return {
      namespace: result.record.namespace,
      created: formatInstant(result.record.createdMs),
      expires: formatInstant(result.record.expiresMs),
      reclaimAt: formatInstant(result.reclaimAtMs),
      connectionString,
      ...(connectionStrings === undefined ? {} : { connectionStrings }),
    };
  };
}
