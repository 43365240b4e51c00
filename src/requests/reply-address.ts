import type { ReplyLocation, RequesterNode } from '../broker/management/requester-nodes.ts';
import { DIRECT_REPLY_TO } from '../contract/names.ts';

/**
 * A delivered `reply_to`: a direct reply-to address that the broker wrote, one of a requester that is gone, because its node
 * is down, or one that gets no reply.
 */
export type ReplyAddress =
  | { readonly kind: 'direct' | 'gone'; readonly address: string; readonly node: RequesterNode }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Classifies a delivered reply address. Only direct reply-to is usable: the agent publishes with its own permissions, which
 * cover every queue in the vhost of the requests, and no client can have a queue there.
 *
 * @param locate where the process of a direct reply-to address is. Publishing to one that no running node can have written
 *   closes the agent's connection.
 */
export async function classifyReplyAddress(
  replyTo: unknown,
  locate: (address: string) => Promise<ReplyLocation>,
): Promise<ReplyAddress> {
  if (typeof replyTo !== 'string' || replyTo === '') return refused('there is no reply_to');
  if (!replyTo.startsWith(DIRECT_REPLY_TO)) return refused('the reply_to is not direct reply-to');
  const location = await locate(replyTo);
  if (location.kind !== 'unknown') {
    return { kind: location.kind === 'running' ? 'direct' : 'gone', address: replyTo, node: location.node };
  }
  return refused('the reply_to is a direct reply-to address that no running node wrote');
}

function refused(reason: string): ReplyAddress {
  return { kind: 'refused', reason };
}
