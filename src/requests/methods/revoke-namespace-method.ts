import { WireError } from '../../contract/wire-errors.ts';
import { formatInstant } from '../../contract/fields.ts';
import type { Revoker } from '../../namespaces/revocation/revoke.ts';
import type { Requester, MethodHandler } from '../method.ts';

/** A revocation that was done, and who asked for it. */
export interface RevocationRequest extends Requester {
  readonly namespace: string;
  /** Until when claims are refused, in ms since the epoch; undefined: they are not. */
  readonly refusedUntilMs: number | undefined;
}

/** Makes the credentials of a namespace useless. The reply of a redelivered request, too, says what holds by then. */
export function revokeNamespaceMethod(
  revoker: Pick<Revoker, 'revoke'>,
  onRevoked: (revoked: RevocationRequest) => void,
): MethodHandler<'revoke-namespace'> {
  return async ({ namespace, untilMs }, { signer, userId, correlationId, signal }) => {
    if (signer === undefined) throw new WireError('AuthenticationFailed', 'A revocation must be signed.');
    const { isNews, refusedUntilMs } = await revoker.revoke({ namespace, untilMs, nonce: signer.nonce }, signal);
    if (isNews) onRevoked({ namespace, clientId: signer.clientId, userId, correlationId, refusedUntilMs });
    return { namespace, ...(refusedUntilMs === undefined ? {} : { revokedUntil: formatInstant(refusedUntilMs) }) };
  };
}
