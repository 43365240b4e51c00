import { DIRECT_REPLY_TO, NAMESPACE_PATTERN } from '../contract/names.ts';
import { isShortText } from './short-text.ts';

/**
 * Where a reply may go. The agent publishes with its own rights, which reach every queue: a free address would let a
 * client write into anybody's queue.
 * - `direct`: a direct reply-to address that the broker itself wrote;
 * - `queue`: a queue of a namespace, good only for requests that are authorised for that namespace;
 * - `refused`: everything else, with the reason.
 */
export type ReplyAddress =
  | { readonly kind: 'direct'; readonly address: string }
  | { readonly kind: 'queue'; readonly address: string; readonly namespace: string }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Sorts a delivered reply address.
 *
 * @param isLive tells whether a direct reply-to address is one that a running node can have written. Publishing to any
 *   other one closes the agent's connection.
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
  const namespace = namespaceOfQueue(replyTo);
  if (namespace !== undefined && isShortText(replyTo)) {
    return { kind: 'queue', address: replyTo, namespace };
  }
  return { kind: 'refused', reason: 'the reply_to is neither direct reply-to nor a queue of a namespace' };
}

/** What the client signed: the broker rewrites the literal of direct reply-to on the way. */
export function signedReplyTo(address: Exclude<ReplyAddress, { kind: 'refused' }>): string {
  return address.kind === 'direct' ? DIRECT_REPLY_TO : address.address;
}

function namespaceOfQueue(queue: string): string | undefined {
  const [prefix, namespace, ...rest] = queue.split('/');
  if (prefix !== 'queue' || namespace === undefined || !NAMESPACE_PATTERN.test(namespace)) return undefined;
  return rest.length > 0 && rest.join('/') !== '' ? namespace : undefined;
}
