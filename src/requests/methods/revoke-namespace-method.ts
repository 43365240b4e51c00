import { formatInstant } from '../../contract/fields.ts';
import type { Revoker } from '../../namespaces/revocation/revoke.ts';
import type { Reporters } from '../../reporters.ts';
import { type MethodHandler, requesterOf } from '../method.ts';

/** What the method works with. */
export interface RevokeMethodParts {
  readonly revoker: Pick<Revoker, 'revoke'>;
  /** Checks both accounts again once no write from before the revocation can arrive any more. */
  readonly finishRevocation: (namespace: string) => void;
  readonly reporters: Pick<Reporters, 'namespaceRevoked'>;
}

/** Revokes the credentials of a namespace. The reply to a redelivered request has the state at that time. */
export function revokeNamespaceMethod(parts: RevokeMethodParts): MethodHandler<'revoke-namespace'> {
  return async ({ namespace, untilMs }, context) => {
    const { signer, signal } = context;
    const { changed, refusedUntilMs } = await parts.revoker.revoke(
      { namespace, untilMs, nonce: signer.nonce.entry },
      signal,
    );
    if (changed) {
      parts.finishRevocation(namespace);
      parts.reporters.namespaceRevoked(namespace, refusedUntilMs, requesterOf(context));
    }
    return { namespace, ...(refusedUntilMs === undefined ? {} : { revokedUntil: formatInstant(refusedUntilMs) }) };
  };
}
