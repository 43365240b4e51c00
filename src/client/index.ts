/**
 * The client library of Pulse Agent: credentials for a namespace, over AMQP, renewed for as long as a program runs.
 *
 * @example
 * import { PulseAgentClient } from 'pulse-agent/client';
 *
 * const client = new PulseAgentClient({ url, credentials: { clientId, accessToken } });
 * const lease = await client.lease({ namespace: 'taskcluster-builds' });
 * console.log(`claimed until ${lease.expires.toISOString()}`);
 * await lease.stop();
 * await client.close();
 *
 * @module
 */
export type { Claim } from '../contract/methods.ts';
export type { ClaimedLimits } from '../contract/queue-limits-field.ts';
export type { ClientCredentials } from '../contract/signature.ts';
export {
  type CallOptions,
  type ClaimRequest,
  type LeaseRequest,
  type Namespace,
  type NamespaceDescription,
  PulseAgentClient,
  type ReadOptions,
} from './client.ts';
export type { ClientOptions } from './client-options.ts';
export type { AmqpConnection } from './rpc.ts';
export {
  AuthenticationFailed,
  BrokerRefused,
  ClientClosed,
  type ClientErrorCode,
  ClockSkew,
  InputError,
  InsufficientScopes,
  InternalServerError,
  LeaseLost,
  MethodNotServed,
  PulseAgentError,
  ReplayDetected,
  RequestConflict,
  ResourceNotFound,
  Unavailable,
} from './client-errors.ts';
export { type Lease, type LeaseEvents, type PulseCredentials } from './lease.ts';
export {
  type ConnectionSetup,
  type LeaseConnection,
  type LeaseConnectionEvents,
  type LeaseConnectionOptions,
} from './lease-connection.ts';
export type { Time } from './time.ts';
