import { WireError } from '../../contract/errors.ts';
import { formatInstant } from '../../contract/fields.ts';
import type { Revoker } from '../../namespaces/revoke.ts';
import type { AskedBy, MethodHandler } from '../method.ts';

/** A revocation that was done, and who asked for it. */
export interface Revoked extends AskedBy {
  readonly namespace: string;
  /** Until when claims are refused, in ms since the epoch; undefined: they are not. */
  readonly untilMs: number | undefined;
}

/** Makes the credentials of a namespace useless. A redelivered request is answered as the first was. */
export function revokeNamespaceMethod(
  revoker: Pick<Revoker, 'revoke'>,
  onRevoked: (revoked: Revoked) => void,
): MethodHandler<'revoke-namespace'> {
  return async ({ namespace, untilMs }, { signer, userId, correlationId, signal }) => {
    if (signer === undefined) throw new WireError('AuthenticationFailed', 'A revocation must be signed.');
    const isNews = await revoker.revoke({ namespace, untilMs, nonce: signer.nonce }, signal);
    if (isNews) onRevoked({ namespace, clientId: signer.clientId, userId, correlationId, untilMs });
    return { namespace, ...(untilMs === undefined ? {} : { revokedUntil: formatInstant(untilMs) }) };
  };
}
