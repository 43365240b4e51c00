import { claimantPermissions } from '../broker/claimant.ts';
import { limitPolicies, brokerEventsPolicies, differingPolicies } from '../broker/policies.ts';
import type { BrokerUser, Management, UserLimits, VhostPermissions } from '../broker/management/management.ts';
import { markedStore, markerName } from '../broker/marker.ts';
import type { Config } from '../config/config.ts';
import { METHODS } from '../contract/methods.ts';
import { contractNames } from '../contract/names.ts';
import { failed, type StepResult, ok, skipped, type Step } from './step.ts';

/** What these steps are made of. */
export interface TopologyStepsParts {
  readonly config: Config;
  readonly management: Management;
}

const START_AN_AGENT = 'Start an agent: it makes what is missing at each start and each reconnect.';

/** What an agent makes on the broker is there, and is as the agent makes it. */
export function topologySteps({ config, management }: TopologyStepsParts): Step[] {
  const { id, vhost, eventVhost } = config;
  return [
    {
      name: 'policies',
      about: 'limits of its queues',
      needs: ['management-api'],
      async run(signal) {
        const differing = [
          ...differingPolicies(await management.listPolicies(vhost, { signal }), limitPolicies(config)),
          ...differingPolicies(await management.listPolicies(eventVhost, { signal }), brokerEventsPolicies(id)),
        ];
        if (differing.length === 0) return ok('every policy is as the agent makes it');
        return failed(`missing or changed: ${differing.join(', ')}`, START_AN_AGENT);
      },
    },
    {
      name: 'topology',
      about: 'exchanges, queues and bindings',
      needs: ['management-api'],
      async run(signal) {
        const names = contractNames(id);
        const [exchanges, queues, bindings] = await Promise.all([
          management.listExchanges(vhost, { signal }),
          management.listQueues(vhost, { signal }),
          management.listBindings(vhost, { signal }),
        ]);
        return checkTopology(id, {
          names: new Set([...exchanges, ...queues].map(({ name }) => name)),
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
      name: 'claimant',
      about: 'the claimant and its rights',
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
  ];
}

/** What there is of the topology. */
export interface TopologyFacts {
  /** Of exchanges and queues. */
  readonly names: ReadonlySet<string>;
  /** With which routing keys the request queue is bound. */
  readonly methods: ReadonlySet<string>;
  /** Exchanges that are bound into the request exchange. */
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
      `bound into the request exchange: ${foreignSources.join(', ')}`,
      'A running agent removes such bindings within a minute or says in its log why it cannot: look there.',
    );
  }
  return ok('everything is there');
}

/** What there is of the claimant. */
export interface ClaimantFacts {
  readonly user: BrokerUser | undefined;
  readonly permissions: readonly VhostPermissions[];
  readonly limits: UserLimits;
}

export function checkClaimant(
  { user, permissions, limits }: ClaimantFacts,
  config: Pick<Config, 'id' | 'vhost' | 'claimantLimits'>,
): StepResult {
  const name = contractNames(config.id).claimantUser;
  if (user === undefined) return failed(`there is no user ${name}`, START_AN_AGENT);
  const wanted = claimantPermissions(config.id);
  const faults: string[] = [];
  if (user.tags.length > 0) faults.push(`the tags ${user.tags.join(', ')}`);
  for (const { vhost, ...held } of permissions) {
    if (vhost !== config.vhost) faults.push(`rights in the vhost ${vhost}`);
    else {
      for (const right of ['configure', 'write', 'read'] as const) {
        if (held[right] !== wanted[right]) faults.push(`${right} on "${held[right]}"`);
      }
    }
  }
  if (faults.length > 0) {
    return failed(
      `${name} has ${faults.join(' and ')}`,
      `Everybody knows the password of this user. Take away what it has in other vhosts with "rabbitmqctl clear_permissions"; the rest is put right when an agent starts.`,
    );
  }
  if (permissions.length === 0) return failed(`${name} has no rights in the vhost ${config.vhost}`, START_AN_AGENT);
  const unlimited = (['max-connections', 'max-channels'] as const).filter(
    (limit) => (limits[limit] ?? -1) !== (config.claimantLimits[limit] ?? -1),
  );
  if (unlimited.length > 0) return failed(`${name} has another ${unlimited.join(' and ')} than set`, START_AN_AGENT);
  return ok(`${name} may send requests and nothing else`);
}

/** Whether the broker is marked as belonging to the store. */
export function markerStep({ config, management }: TopologyStepsParts, storeId: () => string | undefined): Step {
  return {
    name: 'marker',
    about: 'whose broker it is',
    needs: ['management-api'],
    async run(signal) {
      const mark = await management.getGlobalParameter(markerName(config), { signal });
      return checkMarker(mark === undefined ? undefined : (markedStore(mark) ?? 'something else'), storeId());
    },
  };
}

export function checkMarker(marked: string | undefined, storeId: string | undefined): StepResult {
  if (marked === undefined) return failed('the broker is not marked', 'Start an agent: it marks the broker.');
  if (storeId === undefined) return ok(`the broker belongs to the store ${marked}`);
  if (marked === storeId) return ok('the broker belongs to this store');
  return failed(
    `the broker belongs to the store ${marked}, and this one is ${storeId}`,
    'Point STORE_URL to that store, or run "pulse-agent adopt" to let this one take over.',
  );
}
