import { WireError } from '../../contract/wire-errors.ts';
import type { Release, Released } from '../../namespaces/deletion/release.ts';
import type { Reporters } from '../../agent/reporters.ts';
import type { MethodHandler } from '../method.ts';

/** What the method works with. */
export interface ReleaseMethodParts {
  readonly releaseNamespace: (release: Release, signal: AbortSignal) => Promise<Released>;
  /** Deletes it in the background. */
  readonly startDeletion: (namespace: string) => void;
  readonly reporters: Pick<Reporters, 'namespaceReleased'>;
}

/** Releases a namespace. A redelivered request is answered as the first was. */
export function releaseNamespaceMethod(parts: ReleaseMethodParts): MethodHandler<'release-namespace'> {
  return async ({ namespace }, { signer, userId, correlationId, signal, afterReply }) => {
    if (signer === undefined) throw new WireError('AuthenticationFailed', 'A release must be signed.');
    const { isNews, record } = await parts.releaseNamespace({ namespace, nonce: signer.nonce }, signal);
    if (isNews) parts.reporters.namespaceReleased(namespace, { clientId: signer.clientId, userId, correlationId });
    // The deletion closes the connections of the namespace, and the reply may have to travel over one of them.
    if (record !== undefined) afterReply(() => parts.startDeletion(namespace));
    return { namespace, state: 'expiring' };
  };
}
