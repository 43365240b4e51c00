import type { FeatureFlag, Management, VhostLimits } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { failed, ok, type Step, type StepResult, warning } from './step.ts';

interface LimitStepsOptions {
  readonly config: Pick<Config, 'vhost' | 'requestVhost' | 'eventVhost'>;
  readonly management: Pick<
    Management,
    'listFeatureFlags' | 'getVhostLimits' | 'hasVhost' | 'listQueueNames' | 'listConnections'
  >;
}

/** Checks what no agent can change: the features that RabbitMQ has enabled, and the limits of the vhosts. */
export function limitSteps({ config, management }: LimitStepsOptions): Step[] {
  const { vhost: tenantVhost, requestVhost, eventVhost } = config;
  return [
    {
      name: 'feature-flags',
      about: 'feature flags of RabbitMQ',
      needs: ['management-api'],
      run: async (signal) => checkFeatureFlags(await management.listFeatureFlags({ signal })),
    },
    {
      name: 'vhost-limits',
      about: 'limits of the vhosts',
      needs: ['management-api'],
      async run(signal) {
        const uses: VhostUse[] = [];
        for (const vhost of new Set([tenantVhost, requestVhost, eventVhost])) {
          if (!(await management.hasVhost(vhost, { signal }))) continue;
          const limits = await management.getVhostLimits(vhost, { signal });
          const [queues, connections] = await Promise.all([
            isSet(limits['max-queues']) ? management.listQueueNames(vhost, { signal }) : [],
            isSet(limits['max-connections']) ? management.listConnections(vhost, { signal }) : [],
          ]);
          const isForTenants = vhost === tenantVhost;
          uses.push({ vhost, limits, queues: queues.length, connections: connections.length, isForTenants });
        }
        return checkVhostLimits(uses);
      },
    },
  ];
}

/** Enabled in every new node since RabbitMQ 3.8; an upgraded one before 3.12 may lack them. */
const NEEDED_FLAGS = ['quorum_queue', 'user_limits'];

/** A flag that is not listed is not a choice in this version. */
export function checkFeatureFlags(flags: readonly FeatureFlag[]): StepResult {
  const off = flags.filter(({ name, isEnabled }) => NEEDED_FLAGS.includes(name) && !isEnabled).map(({ name }) => name);
  if (off.length === 0) return ok(`RabbitMQ has ${NEEDED_FLAGS.join(' and ')}`);
  return failed(
    `off: ${off.join(', ')}`,
    'Run "rabbitmqctl enable_feature_flag all" once all nodes run the same version: agents need quorum queues and limits of users.',
  );
}

/** The limits of a vhost, and how much of them is used. */
export interface VhostUse {
  readonly vhost: string;
  readonly limits: VhostLimits;
  readonly queues: number;
  readonly connections: number;
  /** Whether tenants declare queues in it. */
  readonly isForTenants: boolean;
}

/** Where tenants declare no queues, a limit that is reached stops no client once an agent has declared its own. */
export function checkVhostLimits(uses: readonly VhostUse[]): StepResult {
  const set = uses.flatMap(({ vhost, limits, queues, connections, isForTenants }) => {
    const used = { 'max-queues': queues, 'max-connections': connections };
    return (['max-queues', 'max-connections'] as const).flatMap((name) => {
      const limit = limits[name];
      if (!isSet(limit)) return [];
      const said = `${name} of the vhost ${vhost}: ${used[name]} of ${limit}`;
      return [{ said, isReached: used[name] >= limit, isFault: isForTenants || name === 'max-connections' }];
    });
  });
  if (set.length === 0) return ok('no vhost has a limit of connections or queues');
  const reached = set.filter(({ isReached }) => isReached);
  if (reached.length === 0) return ok(set.map(({ said }) => said).join(', '));
  const report = reached.some(({ isFault }) => isFault) ? failed : warning;
  return report(
    `reached: ${reached.map(({ said }) => said).join(', ')}`,
    'Raise it with "rabbitmqctl set_vhost_limits": RabbitMQ refuses the next connection or queue there, of agents and of clients.',
  );
}

function isSet(limit: number | undefined): limit is number {
  return limit !== undefined && limit >= 0;
}
