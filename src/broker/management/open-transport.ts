import { confirmMissing, type ProbeQueue } from './confirmed-http.ts';
import { createFailoverHttp, type FailoverOptions } from './failover-http.ts';
import { createManagementHttp, type ManagementHttp, type ManagementOptions } from './management-http.ts';

/** Where the management API is, at one address or several, and how to call it. */
export interface TransportOptions extends ManagementOptions, Omit<FailoverOptions, 'timeoutMs'> {
  /** Other addresses of the same RabbitMQ, in the order in which to try them after `url`. */
  readonly otherUrls?: readonly string[];
  readonly probe?: ProbeQueue;
}

/** Opens the transport: a single address that nothing is to be reported of needs no watching. */
export function openTransport(options: TransportOptions): ManagementHttp {
  const { url, otherUrls = [], probe, onReachable } = options;
  const open = (at: string): ManagementHttp => confirmMissing(createManagementHttp({ ...options, url: at }), probe);
  if (otherUrls.length === 0 && onReachable === undefined) return open(url);
  return createFailoverHttp([url, ...otherUrls].map(open), options);
}
