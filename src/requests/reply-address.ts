import { DIRECT_REPLY_TO } from '../contract/names.ts';

/** A delivered `reply_to`: a direct reply-to address that the broker wrote, or one that gets no reply. */
export type ReplyAddress =
  | { readonly kind: 'direct'; readonly address: string }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Classifies a delivered reply address. Only direct reply-to is usable: the agent publishes with its own permissions, which
 * cover every queue in the vhost of the requests, and no client can have a queue there.
 *
 * @param isLive whether a running node can have written a direct reply-to address. Publishing to any other one closes the
 *   agent's connection.
 */
export async function classifyReplyAddress(
  replyTo: unknown,
  isLive: (address: string) => Promise<boolean>,
): Promise<ReplyAddress> {
  if (typeof replyTo !== 'string' || replyTo === '') return refused('there is no reply_to');
  if (!replyTo.startsWith(DIRECT_REPLY_TO)) return refused('the reply_to is not direct reply-to');
  if (await isLive(replyTo)) return { kind: 'direct', address: replyTo };
  return refused('the reply_to is a direct reply-to address that no running node wrote');
}

function refused(reason: string): ReplyAddress {
  return { kind: 'refused', reason };
}
