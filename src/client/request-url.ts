import { changeAmqpUrls } from '../contract/url.ts';

/**
 * The AMQP URL for requests with the credentials of a connection string: requests have a vhost of their own, and a claimed
 * account may send them there. `amqps://user:password@pulse.example.com/pulse` becomes
 * `amqps://user:password@pulse.example.com/pulse-agent`. Of several URLs with commas between, each is changed.
 *
 * @throws InvalidUrl
 */
export function requestUrl(connectionString: string, requestVhost: string): string {
  return changeAmqpUrls(connectionString, { vhost: requestVhost });
}
