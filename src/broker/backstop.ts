import type { Config } from '../config/config.ts';
import type { ManagementCallOptions } from './management/management-http.ts';
import type { NamedPolicy, Policy } from './management/management-schemas.ts';
import type { Management } from './management/management.ts';
import { PRIORITY, samePolicy } from './policies.ts';
import { escapePattern } from './patterns.ts';

/** What the backstop depends on. */
export interface BackstopSettings {
  /** The agent's id. */
  readonly id: string;
  readonly vhost: string;
  readonly namespacePrefix: string;
  /** The number of messages that a queue of a namespace may hold while no agent runs; null: any. */
  readonly maxMessages: number | null;
  /** The number of bytes that its ready messages may have; null: any. */
  readonly maxBytes: number | null;
  /** The number of bytes that a stream of a namespace may hold; null: any. */
  readonly streamMaxBytes: number | null;
  /** Patterns over the whole names of queues and streams that it leaves alone. */
  readonly exemptQueues: readonly string[];
  /** Patterns of whole namespaces that are reserved. */
  readonly reservedNamespaces: readonly string[];
}

/** What a configuration says about the backstop. */
export function backstopSettings(
  config: Pick<
    Config,
    | 'id'
    | 'vhost'
    | 'namespacePrefix'
    | 'queueBackstopMessages'
    | 'queueBackstopBytes'
    | 'streamMaxBytes'
    | 'exemptQueues'
    | 'reservedNamespaces'
  >,
): BackstopSettings {
  const { id, vhost, namespacePrefix, streamMaxBytes } = config;
  const { queueBackstopMessages: maxMessages, queueBackstopBytes: maxBytes } = config;
  const exemptQueues = config.exemptQueues.map(({ source }) => source);
  const reservedNamespaces = config.reservedNamespaces.map(({ source }) => source);
  return { id, vhost, namespacePrefix, maxMessages, maxBytes, streamMaxBytes, exemptQueues, reservedNamespaces };
}

/** What became of the policies. */
export type BackstopOutcome = 'put' | 'removed' | 'none';

/** The policies that RabbitMQ should have, by name; undefined: none of that name. */
export type BackstopPolicies = ReadonlyMap<string, NamedPolicy | undefined>;

/** The oldest RabbitMQ with policies for streams alone. */
const STREAM_POLICIES_SINCE = [3, 12] as const;

/**
 * The operator policies that protect the broker while no agent runs: a queue of a namespace drops its oldest messages, and
 * a stream its oldest segments, beyond a limit. They beat what the queue was declared with.
 *
 * They set no `overflow`: RabbitMQ 3.10 refuses that in an operator policy, and dropping the oldest is the default.
 * Rejecting messages would be worse: one full queue then makes RabbitMQ refuse what is published for other queues, too.
 *
 * They leave out the queues of reserved namespaces, which belong to another service.
 *
 * The agent's own queues are not matched, as its id does not begin with the prefix of namespaces.
 *
 * @param rabbitmqVersion as `3.10.8`
 */
export function backstopPolicies(settings: BackstopSettings, rabbitmqVersion: string): BackstopPolicies {
  const { id, maxMessages, maxBytes } = settings;
  const queues = queuePolicyName(id);
  const pattern = namespacePattern(settings);
  const policies: NamedPolicy[] = [];
  if (maxMessages !== null || maxBytes !== null) {
    const definition = {
      ...(maxMessages === null ? {} : { 'max-length': maxMessages }),
      ...(maxBytes === null ? {} : { 'max-length-bytes': maxBytes }),
    };
    policies.push({ name: queues, pattern, applyTo: 'queues', definition, priority: PRIORITY });
  }
  const streams = streamPolicy(settings, rabbitmqVersion);
  if (streams !== undefined) policies.push({ ...streams, name: streamPolicyName(id), pattern });
  const byName = new Map(policies.map((policy) => [policy.name, policy]));
  return new Map(backstopNames(id).map((name) => [name, byName.get(name)]));
}

/**
 * RabbitMQ skips a policy with a key that a queue of that type does not know. So on versions without policies for streams,
 * one for all queues with a lower priority than the backstop reaches streams alone, as streams do not know `max-length`.
 */
function streamPolicy(
  { maxMessages, streamMaxBytes }: BackstopSettings,
  rabbitmqVersion: string,
): Omit<Policy, 'pattern'> | undefined {
  if (streamMaxBytes === null) return undefined;
  const definition = { 'max-length-bytes': streamMaxBytes };
  if (hasStreamPolicies(rabbitmqVersion)) return { applyTo: 'streams', definition, priority: PRIORITY + 1 };
  return maxMessages === null ? undefined : { applyTo: 'queues', definition, priority: PRIORITY - 1 };
}

function hasStreamPolicies(rabbitmqVersion: string): boolean {
  const [major = 0, minor = 0] = rabbitmqVersion.split('.').map(Number);
  const [sinceMajor, sinceMinor] = STREAM_POLICIES_SINCE;
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

/** The queues of namespaces that are neither exempt nor reserved, as RabbitMQ (PCRE) reads it. */
function namespacePattern({ exemptQueues, namespacePrefix, reservedNamespaces }: BackstopSettings): string {
  const exempt = exemptQueues.length === 0 ? '' : `(?!(?:${alternatives(exemptQueues)})$)`;
  const reserved = reservedNamespaces.length === 0 ? '' : `(?!queue/(?:${alternatives(reservedNamespaces)})/)`;
  return `^${exempt}${reserved}queue/${escapePattern(namespacePrefix)}[A-Za-z0-9_-]*/`;
}

function alternatives(patterns: readonly string[]): string {
  return patterns.map((pattern) => `(?:${pattern})`).join('|');
}

/**
 * Puts each policy where it is absent or differs, and removes it where there is to be none.
 *
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`: the latter also where RabbitMQ does not understand one of the
 *   patterns
 */
export async function ensureBackstop(
  management: Pick<Management, 'overview' | 'listOperatorPolicies' | 'putOperatorPolicy' | 'deleteOperatorPolicy'>,
  settings: BackstopSettings,
  options?: ManagementCallOptions,
): Promise<BackstopOutcome> {
  const { vhost } = settings;
  const { rabbitmqVersion } = await management.overview(options);
  const policies = await management.listOperatorPolicies(vhost, options);
  let outcome: BackstopOutcome = 'none';
  for (const [name, wanted] of backstopPolicies(settings, rabbitmqVersion)) {
    const present = policies.find((policy) => policy.name === name);
    if (wanted === undefined) {
      if (present === undefined || !(await management.deleteOperatorPolicy(vhost, name, options))) continue;
      if (outcome === 'none') outcome = 'removed';
    } else if (!samePolicy(present, wanted)) {
      await management.putOperatorPolicy(vhost, name, wanted, options);
      outcome = 'put';
    }
  }
  return outcome;
}

/** The names of the policies that are absent, differ, or should not be there. */
export function differingBackstop(present: readonly NamedPolicy[], wanted: BackstopPolicies): string[] {
  return [...wanted].flatMap(([name, policy]) => {
    const found = present.find((one) => one.name === name);
    const isSame = policy === undefined ? found === undefined : samePolicy(found, policy);
    return isSame ? [] : [name];
  });
}

/**
 * The commands that make these policies what they should be, for an operator where RabbitMQ forbids to change them over the
 * API.
 */
export function backstopCommands(vhost: string, names: readonly string[], wanted: BackstopPolicies): string[] {
  return names.map((name) => {
    const policy = wanted.get(name);
    const at = `-p ${quote(vhost)}`;
    if (policy === undefined) return `rabbitmqctl clear_operator_policy ${at} ${quote(name)}`;
    const { priority, applyTo, pattern, definition } = policy;
    const words = [name, pattern, JSON.stringify(definition)].map(quote).join(' ');
    return `rabbitmqctl set_operator_policy ${at} --priority ${priority} --apply-to ${applyTo} ${words}`;
  });
}

/** A word of a shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** The names of the policies. */
export function backstopNames(id: string): readonly string[] {
  return [queuePolicyName(id), streamPolicyName(id)];
}

function queuePolicyName(id: string): string {
  return `${id}-v1-backstop`;
}

/** The name of the policy that limits streams. */
export function streamPolicyName(id: string): string {
  return `${id}-v1-streams`;
}
