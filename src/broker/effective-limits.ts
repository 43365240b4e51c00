import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/config.ts';
import { backstopPolicies, backstopSettings } from './backstop.ts';
import type { EffectivePolicy, PolicedObject } from './management/effective-state.ts';
import type { ManagementCallOptions } from './management/management-http.ts';
import type { NamedPolicy, Policy } from './management/management-schemas.ts';
import type { Management } from './management/management.ts';
import { brokerEventsPolicies, limitPolicies } from './policies.ts';

/** A queue or an exchange that lacks limits, although the agent's policy for it exists unchanged. */
export interface OverriddenLimits {
  readonly of: 'agent' | 'namespaces';
  readonly name: string;
  /** The policy or operator policy that applies instead; undefined: none. */
  readonly by: string | undefined;
  /** The keys of the policy that have other values. */
  readonly limits: readonly string[];
  /** Whether it is so now; otherwise the statistics say so, which may be some seconds old. */
  readonly isCurrent: boolean;
}

/** Which limits have no effect. */
export interface LimitFindings {
  readonly overridden: readonly OverriddenLimits[];
  /** Queues for which RabbitMQ has no statistics that would show it. */
  readonly unknown: readonly string[];
}

/** All that {@link readLimits} finds. */
export interface AllLimitFindings extends LimitFindings {
  /** Operator policies that will take limits from queues which namespaces declare, where these may be none yet. */
  readonly rivals: readonly string[];
}

/** The policies of RabbitMQ in one vhost. */
export interface PolicyFacts {
  readonly queues: readonly PolicedObject[];
  readonly exchanges: readonly PolicedObject[];
  /** Of the agent's own queues that have no policy, or where there are operator policies. */
  readonly effective: readonly EffectivePolicy[];
  readonly operatorPolicies: readonly NamedPolicy[];
}

/** Limits that an operator policy may add to a queue. */
const ADDED_LIMITS = ['expires', 'message-ttl', 'max-length', 'max-length-bytes', 'delivery-limit'] as const;

/**
 * The agent's own queues and exchanges whose limits have no effect. RabbitMQ applies one policy to a queue, that of the
 * highest priority, and one operator policy besides, of two limits the lower.
 */
export function findOverriddenLimits(wanted: readonly NamedPolicy[], facts: PolicyFacts): LimitFindings {
  const found: OverriddenLimits[] = [];
  const unknown: string[] = [];
  for (const policy of wanted) {
    const isQueue = policy.applyTo === 'queues';
    const object = (isQueue ? facts.queues : facts.exchanges).find(({ name }) => mayMatch(policy, name));
    if (object === undefined) continue;
    const { name } = object;
    const isOwn = object.policy === policy.name;
    if (!isOwn && (object.policy !== undefined || !isQueue)) {
      const isCurrent = object.policy !== undefined;
      found.push({ of: 'agent', name, by: object.policy, limits: Object.keys(policy.definition), isCurrent });
      continue;
    }
    // Where nothing but the agent's own policy can apply, no statistics are needed.
    if (isOwn && !facts.operatorPolicies.some((one) => isQueue && appliesToQueues(one) && mayMatch(one, name)))
      continue;
    const { definition, operatorPolicy } = facts.effective.find((one) => one.name === name) ?? {};
    if (definition === undefined) unknown.push(name);
    else {
      const limits = differingLimits(policy, definition);
      if (limits.length > 0) found.push({ of: 'agent', name, by: operatorPolicy, limits, isCurrent: false });
    }
  }
  return { overridden: found, unknown };
}

function differingLimits({ definition: wanted }: Policy, definition: Readonly<Record<string, unknown>>): string[] {
  return [...new Set([...Object.keys(wanted), ...ADDED_LIMITS])].filter(
    (limit) => !isDeepStrictEqual(definition[limit], wanted[limit]),
  );
}

/** Whether a policy may match this name. RabbitMQ's patterns (PCRE) have features that JavaScript lacks. */
function mayMatch({ pattern }: Policy, name: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(name);
  } catch {
    return true;
  }
}

function appliesToQueues({ applyTo }: Policy): boolean {
  return applyTo !== 'exchanges';
}

/**
 * The operator policies that may apply to the queues of namespaces instead of the backstop and limit them less. RabbitMQ
 * applies the one of the highest priority; of two with the same, either.
 */
export function rivalsOfBackstop(
  backstop: readonly NamedPolicy[],
  operatorPolicies: readonly NamedPolicy[],
): readonly NamedPolicy[] {
  const own = new Set(backstop.map(({ name }) => name));
  return operatorPolicies.filter(
    (rival) =>
      !own.has(rival.name) &&
      appliesToQueues(rival) &&
      backstop.some(
        (policy) => rival.priority >= policy.priority && missingLimits(policy, rival.definition).length > 0,
      ),
  );
}

/** The limits of a policy that a definition does not keep: absent, or higher. */
function missingLimits({ definition: wanted }: Policy, definition: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(wanted).flatMap(([limit, most]) => {
    const value = definition[limit];
    return typeof value === 'number' && value <= Number(most) ? [] : [limit];
  });
}

/** The queues of namespaces that the backstop does not limit. */
export function findUnprotectedQueues(
  backstop: readonly NamedPolicy[],
  queues: readonly EffectivePolicy[],
): LimitFindings {
  const overridden: OverriddenLimits[] = [];
  const unknown: string[] = [];
  for (const { name, type, operatorPolicy, definition } of queues) {
    const policy = backstop.find((one) => isForStreams(one) === (type === 'stream') && mayMatch(one, name));
    if (policy === undefined) continue;
    if (definition === undefined) unknown.push(name);
    else {
      const limits = missingLimits(policy, definition);
      if (limits.length > 0) overridden.push({ of: 'namespaces', name, by: operatorPolicy, limits, isCurrent: false });
    }
  }
  return { overridden, unknown };
}

/** See `streamPolicy` in backstop.ts: before 3.12 it applies to queues, with a lower priority. */
function isForStreams({ name }: NamedPolicy): boolean {
  return name.endsWith('-streams');
}

type LimitsConfig = Parameters<typeof backstopSettings>[0] &
  Pick<Config, 'id' | 'requestVhost' | 'eventVhost' | 'maxSkewSeconds'>;

/** The calls of {@link readLimits}. */
export type LimitsManagement = Pick<
  Management,
  | 'overview'
  | 'listOperatorPolicies'
  | 'listQueuePolicies'
  | 'listExchangePolicies'
  | 'getEffectivePolicy'
  | 'listEffectivePolicies'
>;

/**
 * Reads which limits of the agent's own queues and exchanges, and of the queues of namespaces, have no effect. All queues
 * of namespaces are listed only where an operator policy rivals the backstop.
 *
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`
 */
export async function readLimits(
  management: LimitsManagement,
  config: LimitsConfig,
  options?: ManagementCallOptions,
): Promise<AllLimitFindings> {
  const ofVhost = async (vhost: string, wanted: readonly NamedPolicy[]): Promise<LimitFindings> => {
    const [queues, exchanges, operatorPolicies] = await Promise.all([
      management.listQueuePolicies(vhost, options),
      management.listExchangePolicies(vhost, options),
      management.listOperatorPolicies(vhost, options),
    ]);
    const own = queues.filter(({ name }) => wanted.some((policy) => mayMatch(policy, name)));
    const unclear = own.filter(({ policy }) => operatorPolicies.length > 0 || policy === undefined);
    const effective = await Promise.all(unclear.map(({ name }) => management.getEffectivePolicy(vhost, name, options)));
    const known = effective.filter((one) => one !== undefined);
    return findOverriddenLimits(wanted, { queues, exchanges, effective: known, operatorPolicies });
  };
  const ofNamespaces = async (): Promise<AllLimitFindings> => {
    const { vhost, namespacePrefix } = config;
    const { rabbitmqVersion } = await management.overview(options);
    const all = backstopPolicies(backstopSettings(config), rabbitmqVersion).values();
    const backstop = [...all].filter((policy) => policy !== undefined);
    const rivals = rivalsOfBackstop(backstop, await management.listOperatorPolicies(vhost, options));
    if (rivals.length === 0) return { overridden: [], unknown: [], rivals: [] };
    const found = findUnprotectedQueues(backstop, await management.listEffectivePolicies(vhost, options));
    const queueToCome = `queue/${namespacePrefix}example/example`;
    return { ...found, rivals: rivals.filter((rival) => mayMatch(rival, queueToCome)).map(({ name }) => name) };
  };
  const [requests, events, namespaces] = await Promise.all([
    ofVhost(config.requestVhost, limitPolicies(config)),
    ofVhost(config.eventVhost, brokerEventsPolicies(config.id)),
    ofNamespaces(),
  ]);
  const found = [requests, events, namespaces];
  return {
    rivals: namespaces.rivals,
    overridden: found.flatMap(({ overridden }) => overridden),
    unknown: found.flatMap(({ unknown }) => unknown),
  };
}
