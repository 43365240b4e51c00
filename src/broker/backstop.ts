import type { Config } from '../config/config.ts';
import { shellQuoted } from '../util/shell-quoted.ts';
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
  /** Queues with other limits: the first pattern that matches holds. None where all have the same. */
  readonly rules: readonly BackstopRule[];
  /** Patterns over the whole names of queues and streams that it leaves alone. */
  readonly exemptQueues: readonly string[];
  /** Patterns of whole namespaces that are reserved. */
  readonly reservedNamespaces: readonly string[];
}

/** Other limits for some queues. */
export interface BackstopRule extends Pick<BackstopSettings, 'maxMessages' | 'maxBytes'> {
  /** A pattern over the whole name of a queue, or of its namespace. */
  readonly match: string;
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
    | 'queues'
    | 'exemptQueues'
    | 'reservedNamespaces'
  >,
): BackstopSettings {
  const { id, vhost, namespacePrefix, streamMaxBytes } = config;
  const { queueBackstopMessages: maxMessages, queueBackstopBytes: maxBytes } = config;
  const exemptQueues = config.exemptQueues.map(({ source }) => source);
  const reservedNamespaces = config.reservedNamespaces.map(({ source }) => source);
  const all = config.queues.map(({ match, backstopMessages, backstopBytes }) => ({
    match: match.source,
    maxMessages: backstopMessages,
    maxBytes: backstopBytes,
  }));
  // Those after the last one with other limits need no policy of their own.
  const last = all.findLastIndex((rule) => rule.maxMessages !== maxMessages || rule.maxBytes !== maxBytes);
  const rules = all.slice(0, last + 1);
  return { id, vhost, namespacePrefix, maxMessages, maxBytes, streamMaxBytes, rules, exemptQueues, reservedNamespaces };
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
  const { id, rules } = settings;
  const pattern = namespacePattern(settings);
  const policies: NamedPolicy[] = [];
  const add = (
    limits: Pick<BackstopSettings, 'maxMessages' | 'maxBytes'>,
    policy: Omit<NamedPolicy, 'definition' | 'applyTo'>,
  ): void => {
    const definition = {
      ...(limits.maxMessages === null ? {} : { 'max-length': limits.maxMessages }),
      ...(limits.maxBytes === null ? {} : { 'max-length-bytes': limits.maxBytes }),
    };
    if (Object.keys(definition).length > 0) policies.push({ ...policy, applyTo: 'queues', definition });
  };
  for (const [index, rule] of rules.entries()) {
    const name = rulePolicyName(id, index);
    add(rule, { name, pattern: namespacePattern(settings, index), priority: PRIORITY + rules.length - index });
  }
  add(settings, { name: queuePolicyName(id), pattern, priority: PRIORITY });
  const streams = streamPolicy(settings, rabbitmqVersion);
  if (streams !== undefined) {
    // One for all queues would limit those of rules without limits, which no policy of a higher priority keeps from it.
    const ofStreams = streams.applyTo === 'streams' ? namespacePattern({ ...settings, rules: [] }) : pattern;
    policies.push({ ...streams, name: streamPolicyName(id), pattern: ofStreams });
  }
  const byName = new Map(policies.map((policy) => [policy.name, policy]));
  const ofRules = [...byName.keys()].filter((name) => !backstopNames(id).includes(name));
  return new Map([...ofRules, ...backstopNames(id)].map((name) => [name, byName.get(name)]));
}

/**
 * RabbitMQ skips a policy with a key that a queue of that type does not know. So on versions without policies for streams,
 * one for all queues with a lower priority than the backstop reaches streams alone, as streams do not know `max-length`.
 */
function streamPolicy(
  { maxMessages, streamMaxBytes, rules }: BackstopSettings,
  rabbitmqVersion: string,
): Omit<Policy, 'pattern'> | undefined {
  if (streamMaxBytes === null) return undefined;
  const definition = { 'max-length-bytes': streamMaxBytes };
  if (hasStreamPolicies(rabbitmqVersion))
    return { applyTo: 'streams', definition, priority: PRIORITY + rules.length + 1 };
  return maxMessages === null ? undefined : { applyTo: 'queues', definition, priority: PRIORITY - 1 };
}

function hasStreamPolicies(rabbitmqVersion: string): boolean {
  const [major = 0, minor = 0] = rabbitmqVersion.split('.').map(Number);
  const [sinceMajor, sinceMinor] = STREAM_POLICIES_SINCE;
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

/**
 * The queues of namespaces that are neither exempt nor reserved, as RabbitMQ (PCRE) reads it.
 *
 * @param index of the rule that they match; absent: none of those that have no policy
 */
function namespacePattern(
  { exemptQueues, namespacePrefix, reservedNamespaces, rules }: BackstopSettings,
  index = rules.length,
): string {
  const rule = rules[index];
  const matching = rule === undefined ? '' : `(?=${matchPattern(rule.match, 'rest')})`;
  // Without limits there is no policy, and those of lower priorities must not apply instead.
  const unlimited = rules
    .slice(0, index)
    .filter(({ maxMessages, maxBytes }) => maxMessages === null && maxBytes === null);
  const earlier =
    unlimited.length === 0 ? '' : `(?!${unlimited.map(({ match }, at) => matchPattern(match, `rest${at}`)).join('|')})`;
  const exempt = exemptQueues.length === 0 ? '' : `(?!(?:${alternatives(exemptQueues)})$)`;
  const reserved = reservedNamespaces.length === 0 ? '' : `(?!queue/(?:${alternatives(reservedNamespaces)})/)`;
  return `^${matching}${earlier}${exempt}${reserved}queue/${escapePattern(namespacePrefix)}[A-Za-z0-9_-]*/`;
}

/** The queues whose whole name matches, or the whole name of whose namespace: that is, all up to the rest of the name. */
function matchPattern(match: string, group: string): string {
  const rest = String.raw`(?=[^/]*(?<${group}>/[\s\S]*)$)`;
  return String.raw`(?:${match})$|queue/${rest}(?:${match})\k<${group}>$`;
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
  const all = withFormerRules(policies, settings.id, backstopPolicies(settings, rabbitmqVersion));
  for (const [name, wanted] of all) {
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
export function differingBackstop(present: readonly NamedPolicy[], id: string, wanted: BackstopPolicies): string[] {
  return [...withFormerRules(present, id, wanted)].flatMap(([name, policy]) => {
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
    const at = `-p ${shellQuoted(vhost)}`;
    if (policy === undefined) return `rabbitmqctl clear_operator_policy ${at} ${shellQuoted(name)}`;
    const { priority, applyTo, pattern, definition } = policy;
    const words = [name, pattern, JSON.stringify(definition)].map(shellQuoted).join(' ');
    return `rabbitmqctl set_operator_policy ${at} --priority ${priority} --apply-to ${applyTo} ${words}`;
  });
}

/** The names of the policies that there are without rules. */
function backstopNames(id: string): readonly string[] {
  return [queuePolicyName(id), streamPolicyName(id)];
}

/** Whether an operator policy of this name is one of the backstop. */
export function isBackstopName(id: string, name: string): boolean {
  const start = rulePolicyName(id, '');
  return backstopNames(id).includes(name) || (name.startsWith(start) && /^[0-9]+$/.test(name.slice(start.length)));
}

/** The policies, and those of former rules, which there should not be. */
function withFormerRules(present: readonly NamedPolicy[], id: string, wanted: BackstopPolicies): BackstopPolicies {
  const former = present.filter(({ name }) => isBackstopName(id, name) && !wanted.has(name));
  return new Map([...wanted, ...former.map(({ name }) => [name, undefined] as const)]);
}

/** @param index that of the rule in the settings */
function rulePolicyName(id: string, index: number | ''): string {
  return `${queuePolicyName(id)}-${index}`;
}

function queuePolicyName(id: string): string {
  return `${id}-v1-backstop`;
}

/** The name of the policy that limits streams. */
export function streamPolicyName(id: string): string {
  return `${id}-v1-streams`;
}
