import type { ManagementCallOptions } from './management/management-http.ts';
import type { NamedPolicy } from './management/management-schemas.ts';
import type { Management } from './management/management.ts';
import { PRIORITY, samePolicy } from './policies.ts';
import { escapePattern } from './patterns.ts';

/** What the backstop depends on. */
export interface BackstopSettings {
  /** The agent's id. */
  readonly id: string;
  readonly vhost: string;
  readonly namespacePrefix: string;
  /** The messages that a queue of a namespace may hold while no agent runs; null: no backstop. */
  readonly maxMessages: number | null;
  /** Patterns of whole queue names that are exempt. */
  readonly exemptQueues: readonly string[];
  /** Patterns of whole namespaces that are reserved. */
  readonly reservedNamespaces: readonly string[];
}

/** What was done to the backstop. */
type BackstopOutcome = 'put' | 'removed' | 'none';

/**
 * The operator policy that protects the broker while no agent runs: a queue of a namespace drops its oldest messages
 * beyond a limit. It overrides the arguments of the queue.
 *
 * It has no `overflow`: RabbitMQ 3.10 refuses that in an operator policy, and dropping the oldest messages is the default.
 * `reject-publish` would be worse: one full queue would make RabbitMQ reject messages that other queues get too.
 *
 * It leaves out the queues of reserved namespaces, which are another service's.
 *
 * It does not match the agent's own queues, because the agent's id does not start with the namespace prefix.
 */
function backstopPolicy(settings: BackstopSettings, maxMessages: number): NamedPolicy {
  const exempt = alternatives(settings.exemptQueues);
  const reserved = alternatives(settings.reservedNamespaces);
  const exclusion = `${exempt === '' ? '' : `(?!(?:${exempt})$)`}${reserved === '' ? '' : `(?!queue/(?:${reserved})/)`}`;
  return {
    name: backstopName(settings.id),
    pattern: `^${exclusion}queue/${escapePattern(settings.namespacePrefix)}[A-Za-z0-9_-]*/`,
    applyTo: 'queues',
    definition: { 'max-length': maxMessages },
    priority: PRIORITY,
  };
}

/**
 * Ensures that the backstop is as configured, or absent.
 *
 * @throws AgentError `BrokerUnavailable`; `BrokerRefused`, also when RabbitMQ rejects one of the patterns
 */
export async function ensureBackstop(
  management: Pick<Management, 'listOperatorPolicies' | 'putOperatorPolicy' | 'deleteOperatorPolicy'>,
  settings: BackstopSettings,
  options?: ManagementCallOptions,
): Promise<BackstopOutcome> {
  const { id, vhost, maxMessages } = settings;
  const name = backstopName(id);
  const present = (await management.listOperatorPolicies(vhost, options)).find((policy) => policy.name === name);
  if (maxMessages === null) {
    if (present === undefined) return 'none';
    return (await management.deleteOperatorPolicy(vhost, name, options)) ? 'removed' : 'none';
  }
  const wanted = backstopPolicy(settings, maxMessages);
  if (samePolicy(present, wanted)) return 'none';
  await management.putOperatorPolicy(vhost, name, wanted, options);
  return 'put';
}

function alternatives(patterns: readonly string[]): string {
  return patterns.map((pattern) => `(?:${pattern})`).join('|');
}

function backstopName(id: string): string {
  return `${id}-v1-backstop`;
}
