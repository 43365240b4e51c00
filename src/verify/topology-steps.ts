import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BackstopSettings,
  backstopCommands,
  backstopPolicies,
  backstopSettings,
  differingBackstop,
  streamPolicyName,
} from '../broker/backstop.ts';
import { type AllLimitFindings, readLimits } from '../broker/effective-limits.ts';
import { requesterPermissions } from '../broker/request-vhost.ts';
import { limitPolicies, brokerEventsPolicies, differingPolicies } from '../broker/policies.ts';
import type {
  BrokerUser,
  Management,
  NamedPolicy,
  Overview,
  UserLimits,
  VhostPermissions,
} from '../broker/management/management.ts';
import { storesOfTags } from '../broker/store-tag.ts';
import type { Config } from '../config/config.ts';
import { METHODS } from '../contract/methods.ts';
import { contractNames, namespaceOfAccount } from '../contract/names.ts';
import { matchesAny } from '../util/name-pattern.ts';
import { failed, type StepResult, ok, skipped, type Step, warning } from './step.ts';

export interface TopologyStepsOptions {
  readonly config: Config;
  readonly management: Management;
}

const START_AN_AGENT = 'Start an agent: it creates what is missing at each start and each reconnect.';

/** Checks that everything an agent declares on the broker is there and unchanged. */
export function topologySteps({ config, management }: TopologyStepsOptions): Step[] {
  const { id, vhost, requestVhost, eventVhost } = config;
  return [
    {
      name: 'policies',
      about: 'policies',
      needs: ['management-api'],
      essential: false,
      async run(signal) {
        const differing = [
          ...differingPolicies(await management.listPolicies(requestVhost, { signal }), limitPolicies(config)),
          ...differingPolicies(await management.listPolicies(eventVhost, { signal }), brokerEventsPolicies(id)),
        ];
        if (differing.length === 0) return ok('all policies are as declared');
        return failed(`missing or changed: ${differing.join(', ')}`, START_AN_AGENT);
      },
    },
    {
      name: 'backstop',
      about: 'limits of queues and streams',
      needs: ['management-api'],
      essential: false,
      async run(signal) {
        const settings = backstopSettings(config);
        const [overview, present] = await Promise.all([
          management.overview({ signal }),
          management.listOperatorPolicies(vhost, { signal }),
        ]);
        return checkBackstop(settings, overview, present);
      },
    },
    {
      name: 'topology',
      about: 'exchanges, queues and bindings',
      needs: ['management-api'],
      async run(signal) {
        const names = contractNames(id);
        if (!(await management.hasVhost(requestVhost, { signal }))) {
          return failed(`there is no vhost ${requestVhost}`, START_AN_AGENT);
        }
        const [tenantExchanges, exchanges, queues, bindings] = await Promise.all([
          management.listExchanges(vhost, { signal }),
          management.listExchanges(requestVhost, { signal }),
          management.listQueues(requestVhost, { signal }),
          management.listBindings(requestVhost, { signal }),
        ]);
        const { eventsExchange } = names;
        return checkTopology(id, {
          names: new Set(
            [...tenantExchanges.filter(({ name }) => name === eventsExchange), ...exchanges, ...queues].map(
              ({ name }) => name,
            ),
          ),
          methods: new Set(
            bindings
              .filter(({ source, destination }) => source === names.rpcExchange && destination === names.requestQueue)
              .map(({ routingKey }) => routingKey),
          ),
          foreignSources: bindings
            .filter(({ source, destination }) => destination === names.rpcExchange && source !== '')
            .map(({ source }) => source),
        });
      },
    },
    {
      name: 'names',
      about: 'names with a slash in the management API',
      needs: ['topology'],
      async run(signal) {
        const { requestQueue } = contractNames(id);
        if ((await management.getQueue(requestVhost, requestQueue, { signal })) !== undefined) {
          return ok(`${requestQueue} is found by its name`);
        }
        return failed(
          `${requestQueue} is listed, and not found by its name`,
          'Check that RABBITMQ_MANAGEMENT_URL leads to one cluster, and that all its nodes run.',
        );
      },
    },
    {
      name: 'limits',
      about: 'limits in effect',
      needs: ['policies', 'topology'],
      essential: false,
      run: async (signal) =>
        checkLimits(await readSettledLimits(() => readLimits(management, config, { signal }), signal)),
    },
    {
      name: 'claimant',
      about: 'claimant and its permissions',
      needs: ['management-api'],
      async run(signal) {
        const name = contractNames(id).claimantUser;
        if (config.claimantPassword === undefined) return skipped('PULSE_AGENT_CLAIMANT_PASSWORD is not set');
        const [user, permissions, limits] = await Promise.all([
          management.getUser(name, { signal }),
          management.listUserPermissions(name, { signal }),
          management.getUserLimits(name, { signal }),
        ]);
        return checkClaimant({ user, permissions, limits }, config);
      },
    },
    {
      name: 'reserved-names',
      about: 'no account under a reserved name',
      needs: ['management-api'],
      essential: false,
      async run(signal) {
        return checkReservedNames(await management.listUsers({ signal }), config);
      },
    },
  ];
}

/** RabbitMQ's statistics are up to 20 s old, by default, and absent for some seconds after the start of a queue. */
const LIMITS_PATIENCE_MS = 25_000;
const LIMITS_POLL_MS = 2_000;

/** Reads again until the statistics show no fault, or for as long as they may be old. */
async function readSettledLimits(
  read: () => Promise<AllLimitFindings>,
  signal: AbortSignal,
): Promise<AllLimitFindings> {
  for (let waitedMs = 0; ; waitedMs += LIMITS_POLL_MS) {
    const found = await read();
    const isFaultCurrent = found.overridden.some(({ isCurrent }) => isCurrent);
    const isSettled = found.overridden.length === 0 && found.unknown.length === 0;
    if (isFaultCurrent || isSettled || waitedMs >= LIMITS_PATIENCE_MS) return found;
    await sleep(LIMITS_POLL_MS, undefined, { signal });
  }
}

export function checkLimits({ overridden, unknown, rivals }: AllLimitFindings): StepResult {
  const shown = overridden
    .slice(0, MAX_SHOWN)
    .map(
      ({ name, by, limits }) =>
        `${name} lacks ${limits.join(', ')} (${by === undefined ? 'no policy' : `policy ${by}`})`,
    );
  if (overridden.length > 0) {
    const rest = overridden.length - shown.length;
    return failed(`${shown.join('; ')}${rest > 0 ? `; and ${rest} more` : ''}`, NARROWER_POLICY);
  }
  if (rivals.length > 0) {
    const said = `queues that namespaces declare will lack limits of the backstop (operator policy ${rivals.join(', ')})`;
    return failed(said, NARROWER_POLICY);
  }
  if (unknown.length === 0) return ok('no other policy takes limits from the queues of the agent or of namespaces');
  return warning(
    `unknown for ${unknown.slice(0, MAX_SHOWN).join(', ')}`,
    'An operator policy may match these queues, and RabbitMQ has no statistics that show their limits. Compare both by hand.',
  );
}

const NARROWER_POLICY =
  "Give that policy a narrower pattern, or a priority below the agent's 1000: RabbitMQ applies one policy and one operator policy to a queue.";

/** A report names at most this many queues. */
const MAX_SHOWN = 5;

/** Checks the operator policies, and says what they limit. */
export function checkBackstop(
  settings: BackstopSettings,
  { rabbitmqVersion, areOperatorPoliciesFixed }: Pick<Overview, 'rabbitmqVersion' | 'areOperatorPoliciesFixed'>,
  present: readonly NamedPolicy[],
): StepResult {
  const wanted = backstopPolicies(settings, rabbitmqVersion);
  const differing = differingBackstop(present, settings.id, wanted);
  const faults = `missing or changed: ${differing.join(', ')}`;
  if (differing.length > 0 && areOperatorPoliciesFixed === true) {
    const commands = backstopCommands(settings.vhost, differing, wanted).join('; ');
    return failed(
      `${faults}, and RabbitMQ forbids agents to change operator policies (management.restrictions.operator_policy_changes.disabled)`,
      `Set the policies on a node of RabbitMQ: ${commands}`,
    );
  }
  if (differing.length > 0) return failed(faults, START_AN_AGENT);
  const { maxMessages, maxBytes, streamMaxBytes, rules } = settings;
  const queues = [
    ...(maxMessages === null ? [] : [`${maxMessages} messages`]),
    ...(maxBytes === null ? [] : [`${maxBytes} bytes`]),
  ];
  const areStreamsLimited = wanted.get(streamPolicyName(settings.id)) !== undefined;
  const said = [
    queues.length === 0 ? 'queues are unlimited' : `a queue keeps at most ${queues.join(' and ')}`,
    ...(rules.length === 0 ? [] : [`other limits by ${rules.length} of the rules in queues`]),
    areStreamsLimited ? `a stream at most ${streamMaxBytes} bytes` : 'streams are unlimited',
  ].join(', ');
  if (areStreamsLimited && queues.length > 0) return ok(said);
  return warning(
    said,
    streamMaxBytes !== null && !areStreamsLimited
      ? 'Set queueBackstopMessages: without it RabbitMQ before 3.12 cannot limit streams alone.'
      : 'One holder can fill the disk of the broker: set queueBackstopMessages, queueBackstopBytes and streamMaxBytes.',
  );
}

/** The topology on the broker. */
export interface TopologyFacts {
  /** The names of exchanges and queues. */
  readonly names: ReadonlySet<string>;
  /** The routing keys that bind the request queue. */
  readonly methods: ReadonlySet<string>;
  /** Exchanges that are bound to the request exchange. */
  readonly foreignSources: readonly string[];
}

export function checkTopology(id: string, { names, methods, foreignSources }: TopologyFacts): StepResult {
  const wanted = contractNames(id);
  const missing = [
    wanted.rpcExchange,
    wanted.deadExchange,
    wanted.eventsExchange,
    wanted.requestQueue,
    wanted.deadQueue,
    wanted.unknownMethodsQueue,
  ].filter((name) => !names.has(name));
  if (missing.length > 0) return failed(`missing: ${missing.join(', ')}`, START_AN_AGENT);
  const unbound = Object.keys(METHODS).filter((method) => !methods.has(method));
  if (unbound.length > 0) return failed(`no binding for ${unbound.join(', ')}`, START_AN_AGENT);
  if (foreignSources.length > 0) {
    return failed(
      `bound to the request exchange: ${foreignSources.join(', ')}`,
      'A running agent removes such bindings within a minute, or logs why it cannot: check its log.',
    );
  }
  return ok('all exchanges, queues and bindings are there');
}

/** The claimant on the broker. */
export interface ClaimantFacts {
  readonly user: BrokerUser | undefined;
  readonly permissions: readonly VhostPermissions[];
  readonly limits: UserLimits;
}

export function checkClaimant(
  { user, permissions, limits }: ClaimantFacts,
  config: Pick<Config, 'id' | 'requestVhost' | 'claimantLimits'>,
): StepResult {
  const name = contractNames(config.id).claimantUser;
  if (user === undefined) return failed(`there is no user ${name}`, START_AN_AGENT);
  const wanted = requesterPermissions(config.id);
  const faults: string[] = [];
  if (user.tags.length > storesOfTags(user.tags).length) faults.push(`the tags ${user.tags.join(', ')}`);
  for (const { vhost, ...held } of permissions) {
    if (vhost !== config.requestVhost) faults.push(`permissions in the vhost ${vhost}`);
    else {
      for (const permission of ['configure', 'write', 'read'] as const) {
        if (held[permission] !== wanted[permission]) faults.push(`${permission} on "${held[permission]}"`);
      }
    }
  }
  if (faults.length > 0) {
    return failed(
      `${name} has ${faults.join(' and ')}`,
      `Many clients know the password of this user. Remove its permissions in other vhosts with "rabbitmqctl clear_permissions"; an agent repairs the rest when it starts.`,
    );
  }
  if (permissions.length === 0)
    return failed(`${name} has no permissions in the vhost ${config.requestVhost}`, START_AN_AGENT);
  const unlimited = (['max-connections', 'max-channels'] as const).filter(
    (limit) => (limits[limit] ?? -1) !== (config.claimantLimits[limit] ?? -1),
  );
  if (unlimited.length > 0)
    return failed(`${name} does not have the configured ${unlimited.join(' and ')}`, START_AN_AGENT);
  return ok(`${name} may send requests and nothing else`);
}

export function checkReservedNames(
  users: readonly Pick<BrokerUser, 'name' | 'tags'>[],
  config: Pick<Config, 'usernamePrefix' | 'namespacePrefix' | 'reservedNamespaces'>,
): StepResult {
  const found = users
    .filter(({ tags }) => storesOfTags(tags).length > 0)
    .flatMap(({ name }) => namespaceOfAccount(config, name) ?? [])
    .filter((namespace) => matchesAny(config.reservedNamespaces, namespace));
  if (found.length === 0) return ok('no reserved namespace was ever claimed');
  const [namespace] = found;
  return failed(
    `reserved namespaces were claimed: ${[...new Set(found)].join(', ')}`,
    `Find who holds it with "pulse-agent audit --namespace ${namespace}", and have it released: its queues and exchanges stay. If it is no service of your own, correct reservedNamespaces.`,
  );
}
