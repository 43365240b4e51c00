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
  /** Messages that a queue of a namespace may hold while no agent runs; null: no backstop. */
  readonly maxMessages: number | null;
  /** Patterns over the whole names of queues that it leaves alone. */
  readonly exemptQueues: readonly string[];
}

/** What became of the backstop. */
export type BackstopOutcome = 'put' | 'removed' | 'none';

/**
 * The operator policy that protects the broker while no agent runs: a queue of a namespace drops its oldest messages
 * beyond a limit. It beats what the queue was declared with.
 *
 * It says nothing of `overflow`: RabbitMQ 3.10 refuses that in an operator policy, and dropping the oldest is the default.
 * Refusing to take more would be worse: one full queue then makes RabbitMQ refuse what is published for others, too.
 *
 * The agent's own queues are not matched, as its id does not begin with the prefix of namespaces.
 */
export function backstopPolicy(settings: BackstopSettings, maxMessages: number): NamedPolicy {
  const exempt = settings.exemptQueues.map((pattern) => `(?:${pattern})`).join('|');
  const spared = exempt === '' ? '' : `(?!(?:${exempt})$)`;
  return {
    name: backstopName(settings.id),
    pattern: `^${spared}queue/${escapePattern(settings.namespacePrefix)}[A-Za-z0-9_-]*/`,
    applyTo: 'queues',
    definition: { 'max-length': maxMessages },
    priority: PRIORITY,
  };
}

/**
 * Puts the backstop where it is absent or differs, and removes it where there is to be none.
 *
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`: the latter also where RabbitMQ does not understand one of the
 *   patterns
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

function backstopName(id: string): string {
  return `${id}-v1-backstop`;
}
