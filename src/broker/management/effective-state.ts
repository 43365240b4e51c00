import * as z from 'zod';
import type { ManagementCallOptions } from './management-http.ts';
import type { ManagementReads } from './management-reads.ts';

/** A queue or an exchange, and the name of the policy that RabbitMQ applies to it. */
export interface PolicedObject {
  readonly name: string;
  /** Undefined: none. */
  readonly policy?: string | undefined;
}

/** What RabbitMQ's statistics say about the policies of a queue. */
export interface EffectivePolicy {
  readonly name: string;
  readonly type: string;
  readonly operatorPolicy?: string | undefined;
  /** What its policy and its operator policy say together; undefined without statistics. */
  readonly definition?: Readonly<Record<string, unknown>> | undefined;
}

/** The calls that read what RabbitMQ does, and not what was declared. */
export interface EffectiveStateCalls {
  /** The policies of all queues, current. */
  listQueuePolicies(vhost: string, options?: ManagementCallOptions): Promise<PolicedObject[]>;
  /** The policies of all exchanges, current. */
  listExchangePolicies(vhost: string, options?: ManagementCallOptions): Promise<PolicedObject[]>;
  /** The effective policies of all queues, from the statistics: up to 20 s old were measured. Costs as much as sizes. */
  listEffectivePolicies(vhost: string, options?: ManagementCallOptions): Promise<EffectivePolicy[]>;
  /** The same of one queue; undefined when it is missing. */
  getEffectivePolicy(
    vhost: string,
    queue: string,
    options?: ManagementCallOptions,
  ): Promise<EffectivePolicy | undefined>;
  /** The plugins that any node has switched on; undefined where RabbitMQ does not say. */
  listEnabledPlugins(options?: ManagementCallOptions): Promise<string[] | undefined>;
}

/** RabbitMQ writes an absent name as null, as an empty text, or not at all. */
const policyName = z
  .string()
  .nullish()
  .transform((name) => (name === null || name === '' ? undefined : name));

const policedSchema = z.object({ name: z.string(), policy: policyName });

/** Without a policy the definition is an empty object, or an empty list. */
const definitionSchema = z.union([
  z.record(z.string(), z.unknown()),
  z.array(z.unknown()).transform((): Record<string, unknown> => ({})),
]);

const effectiveSchema = z
  .object({
    name: z.string(),
    type: z.string().default('classic'),
    operator_policy: policyName,
    effective_policy_definition: definitionSchema.nullish(),
  })
  .transform(
    ({ name, type, operator_policy: operatorPolicy, effective_policy_definition: definition }): EffectivePolicy => ({
      name,
      type,
      operatorPolicy,
      definition: definition ?? undefined,
    }),
  );

const pluginsSchema = z.array(z.object({ enabled_plugins: z.array(z.string()).optional() }));

const POLICIES_ONLY = { disable_stats: 'true', columns: 'name,policy' };
const EFFECTIVE_ONLY = { columns: 'name,type,operator_policy,effective_policy_definition' };

export function createEffectiveStateCalls({ find, list }: Pick<ManagementReads, 'find' | 'list'>): EffectiveStateCalls {
  return {
    listQueuePolicies: (vhost, options) => list(policedSchema, ['queues', vhost], options, POLICIES_ONLY),
    listExchangePolicies: (vhost, options) => list(policedSchema, ['exchanges', vhost], options, POLICIES_ONLY),
    listEffectivePolicies: (vhost, options) => list(effectiveSchema, ['queues', vhost], options, EFFECTIVE_ONLY),
    getEffectivePolicy: (vhost, queue, options) =>
      find(effectiveSchema, ['queues', vhost, queue], options, EFFECTIVE_ONLY),
    async listEnabledPlugins(options) {
      const nodes = (await find(pluginsSchema, ['nodes'], options, { columns: 'name,enabled_plugins' })) ?? [];
      const named = nodes.flatMap(({ enabled_plugins: plugins }) => (plugins === undefined ? [] : [plugins]));
      return named.length === 0 ? undefined : [...new Set(named.flat())];
    },
  };
}
