import type { Management, ManagementCallOptions } from '../broker/management/management.ts';

/**
 * Whether RabbitMQ lists a queue that it does not find by its name. It answers 404 for a classic queue whose node is down,
 * although the queue exists: only a queue that is in no listing is missing.
 *
 * @throws AgentError `BrokerUnavailable`; the signal's reason
 */
export async function isQueueListed(
  management: Pick<Management, 'listQueueNames'>,
  vhost: string,
  queue: string,
  options: ManagementCallOptions,
): Promise<boolean> {
  return (await management.listQueueNames(vhost, options)).includes(queue);
}
