import type { ReleaseInput, Released } from '../../namespaces/deletion/release.ts';
import type { Reporters } from '../../reporters.ts';
import { type MethodHandler, requesterOf } from '../method.ts';

/** What the method works with. */
export interface ReleaseMethodParts {
  readonly releaseNamespace: (release: ReleaseInput, signal: AbortSignal) => Promise<Released>;
  /** Deletes it in the background. */
  readonly startDeletion: (namespace: string) => void;
  readonly reporters: Pick<Reporters, 'namespaceReleased'>;
}

/** Releases a namespace. A redelivered request is answered as the first was. */
export function releaseNamespaceMethod(parts: ReleaseMethodParts): MethodHandler<'release-namespace'> {
  return async ({ namespace }, context) => {
    const { signer, signal, afterReply } = context;
    const { changed, record } = await parts.releaseNamespace({ namespace, nonce: signer.nonce.entry }, signal);
    if (changed) parts.reporters.namespaceReleased(namespace, requesterOf(context));
    // The deletion closes the connections of the namespace, and the client may receive the reply on one of them.
    if (record !== undefined) afterReply(() => parts.startDeletion(namespace));
    return { namespace, state: 'expiring' };
  };
}
