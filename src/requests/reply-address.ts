import { DIRECT_REPLY_TO, NAMESPACE_PATTERN } from '../contract/names.ts';
import { isShortString } from './short-string.ts';

/**
 * Where a reply may go. The agent publishes with its own permissions, which cover every queue: without this check a client
 * could write into any of them.
 * - `direct`: a direct reply-to address that the broker itself wrote;
 * - `queue`: a queue of a namespace, for requests that are authorised for that namespace only.
 */
export type UsableAddress =
  | { readonly kind: 'direct'; readonly address: string }
  | { readonly kind: 'queue'; readonly address: string; readonly namespace: string };

/** A delivered `reply_to`: usable, or refused for a reason. */
export type ReplyAddress = UsableAddress | { readonly kind: 'refused'; readonly reason: string };

/**
 * Classifies a delivered reply address.
 *
 * @param isLive whether a running node can have written a direct reply-to address. Publishing to any other one closes the
 *   agent's connection.
 */
export async function classifyReplyAddress(
  replyTo: unknown,
  isLive: (address: string) => Promise<boolean>,
): Promise<ReplyAddress> {
  if (typeof replyTo !== 'string' || replyTo === '') return { kind: 'refused', reason: 'there is no reply_to' };
  if (replyTo.startsWith(DIRECT_REPLY_TO)) {
    return (await isLive(replyTo))
      ? { kind: 'direct', address: replyTo }
      : { kind: 'refused', reason: 'the reply_to is a direct reply-to address that no running node wrote' };
  }
  const namespace = namespaceInQueueName(replyTo);
  if (namespace !== undefined && isShortString(replyTo)) {
    return { kind: 'queue', address: replyTo, namespace };
  }
  return { kind: 'refused', reason: 'the reply_to is neither direct reply-to nor a queue of a namespace' };
}

/** The `reply_to` that the client signed: the broker replaces the literal of direct reply-to. */
export function signedReplyTo(address: UsableAddress): string {
  return address.kind === 'direct' ? DIRECT_REPLY_TO : address.address;
}

function namespaceInQueueName(queue: string): string | undefined {
  const [prefix, namespace, ...rest] = queue.split('/');
  if (prefix !== 'queue' || namespace === undefined || !NAMESPACE_PATTERN.test(namespace)) return undefined;
  return rest.length > 0 && rest.join('/') !== '' ? namespace : undefined;
}
