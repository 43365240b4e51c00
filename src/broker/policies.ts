import { isDeepStrictEqual } from 'node:util';
import { contractNames } from '../contract/names.ts';
import type { ManagementCallOptions } from './management/management-http.ts';
import type { NamedPolicy } from './management/management-schemas.ts';
import type { Management } from './management/management.ts';
import { exactly } from './patterns.ts';

const MIB = 2 ** 20;
const MINUTE_MS = 60 * 1000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** One policy applies to a queue, that of the highest priority; those of teams have single digits. */
export const PRIORITY = 1000;

/**
 * How often a request is redelivered before it is dead-lettered. A delivery counts when its agent dies or loses its
 * connection: five is more than a rolling restart needs, and stops a request that kills agents.
 */
const DELIVERY_LIMIT = 5;

interface LimitSettings {
  /** The agent's id. */
  readonly id: string;
  /** How old a signed request may be; an older one would be refused, so it expires in the queue. */
  readonly maxSkewSeconds: number;
}

/**
 * The limits of the agent's own queues. They are policies, because queue arguments cannot be changed: a later version with
 * different ones could not declare the queue.
 *
 * Byte limits do not count headers, so the message limits are what protects the broker's memory.
 */
export function limitPolicies({ id, maxSkewSeconds }: LimitSettings): NamedPolicy[] {
  const names = contractNames(id);
  const policy = policiesOf(id);
  return [
    policy('rpc', names.rpcExchange, 'exchanges', { 'alternate-exchange': names.deadExchange }),
    policy('requests', names.requestQueue, 'queues', {
      'max-length': 5000,
      'max-length-bytes': 64 * MIB,
      // A client that floods gets a nack; waiting requests stay.
      overflow: 'reject-publish',
      'message-ttl': maxSkewSeconds * 1000,
      'delivery-limit': DELIVERY_LIMIT,
      'dead-letter-exchange': names.deadExchange,
    }),
    policy('dead', names.deadQueue, 'queues', {
      'max-length': 1000,
      'max-length-bytes': 64 * MIB,
      overflow: 'drop-head',
      'message-ttl': 7 * DAY_MS,
      // Reading dead letters means to get and requeue them; RabbitMQ 4 would drop one after 20 reads.
      'delivery-limit': 1_000_000,
    }),
    policy('unknown-methods', names.unknownMethodsQueue, 'queues', {
      'max-length': 1000,
      'max-length-bytes': 16 * MIB,
      overflow: 'drop-head',
      'message-ttl': maxSkewSeconds * 1000,
      // Without a dead-letter exchange: the messages here are in the dead letters already.
      'delivery-limit': DELIVERY_LIMIT,
    }),
  ];
}

/** The limits of the queues of broker events, which are in the vhost of the event exchange. */
export function brokerEventsPolicies(id: string): NamedPolicy[] {
  const { brokerEventsQueue, tenantEventsQueue } = contractNames(id);
  const definition = {
    // Bodies are empty, so a byte limit has no effect. The oldest are dropped: reconciliation covers them.
    'max-length': 50_000,
    overflow: 'drop-head',
    'message-ttl': 10 * MINUTE_MS,
    'delivery-limit': DELIVERY_LIMIT,
  };
  const policy = policiesOf(id);
  return [
    policy('broker-events', brokerEventsQueue, 'queues', definition),
    policy('tenant-events', tenantEventsQueue, 'queues', definition),
  ];
}

function policiesOf(id: string) {
  return (
    kind: string,
    name: string,
    applyTo: 'queues' | 'exchanges',
    definition: NamedPolicy['definition'],
  ): NamedPolicy => ({ name: `${id}-v1-${kind}`, pattern: exactly(name), applyTo, definition, priority: PRIORITY });
}

/**
 * Ensures the limits of the agent's own queues. Returns the names of the policies that it wrote.
 *
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`
 */
export async function ensureLimitPolicies(
  management: Pick<Management, 'listPolicies' | 'putPolicy'>,
  vhost: string,
  settings: LimitSettings,
  options?: ManagementCallOptions,
): Promise<string[]> {
  return await ensurePolicies(management, vhost, limitPolicies(settings), options);
}

/** Writes the policies that are absent or differ; leaves all others. Returns the names of those that it wrote. */
export async function ensurePolicies(
  management: Pick<Management, 'listPolicies' | 'putPolicy'>,
  vhost: string,
  policies: readonly NamedPolicy[],
  options?: ManagementCallOptions,
): Promise<string[]> {
  const differing = new Set(differingPolicies(await management.listPolicies(vhost, options), policies));
  for (const wanted of policies) {
    if (differing.has(wanted.name)) await management.putPolicy(vhost, wanted.name, wanted, options);
  }
  return [...differing];
}

/** The names of the wanted policies that are absent or differ. */
export function differingPolicies(present: readonly NamedPolicy[], wanted: readonly NamedPolicy[]): string[] {
  const byName = new Map(present.map((policy) => [policy.name, policy]));
  return wanted.filter((policy) => !samePolicy(byName.get(policy.name), policy)).map(({ name }) => name);
}

/** Whether a policy exists as wanted. */
export function samePolicy(present: NamedPolicy | undefined, wanted: NamedPolicy): boolean {
  return (
    present !== undefined &&
    present.pattern === wanted.pattern &&
    present.applyTo === wanted.applyTo &&
    present.priority === wanted.priority &&
    isDeepStrictEqual({ ...present.definition }, { ...wanted.definition })
  );
}
