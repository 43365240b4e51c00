import { viewCluster } from '../broker/cluster-state.ts';
import type { ClusterNode, Management } from '../broker/management/management.ts';
import { EVENT_EXCHANGE } from '../broker/amqp/broker-events.ts';
import type { Config } from '../config/config.ts';
import { formatAmqpHost, formatAmqpUrl, parseAmqpUrls } from '../contract/url.ts';
import { checkEach } from './check-each.ts';
import { failed, type StepResult, ok, skipped, type Step, warning } from './step.ts';
import {
  agentPermissions,
  brokerEventPermissions,
  missingPermissions,
  type RequiredPermission,
} from './permissions.ts';

/** The oldest RabbitMQ that the agent is tested with, and the oldest major version that is supported in 2026. */
const OLDEST_VERSION = [3, 10] as const;
const SUPPORTED_MAJOR = 4;

/** The plugin that caches logins, in front of any other backend. */
const AUTH_CACHE = 'rabbitmq_auth_backend_cache';

export interface BrokerStepsOptions {
  readonly config: Pick<
    Config,
    | 'id'
    | 'agentUser'
    | 'vhost'
    | 'namespacePrefix'
    | 'queues'
    | 'eventVhost'
    | 'rabbitmqUrl'
    | 'handshakeTimeoutSeconds'
  >;
  readonly management: Management;
  /** The management API at each of its addresses. */
  readonly managementAt: readonly { readonly shown: string; readonly management: Pick<Management, 'whoAmI'> }[];
  /** Opens and closes an AMQP connection. */
  readonly tryConnection: (url: string) => Promise<void>;
}

/** Checks that the broker answers, is new enough, has its plugins, and grants the agent what it needs. */
export function brokerSteps({ config, management, managementAt, tryConnection }: BrokerStepsOptions): Step[] {
  const { agentUser } = config;
  return [
    {
      name: 'management-api',
      about: 'management API',
      needs: [],
      run: async (signal) =>
        await checkEach(
          managementAt.map(({ shown, management: one }) => ({
            shown,
            check: async () => checkIdentity(await one.whoAmI({ signal })),
          })),
        ),
    },
    {
      name: 'broker-version',
      about: 'RabbitMQ version',
      needs: ['management-api'],
      essential: false,
      run: async (signal) => checkVersion(await management.overview({ signal })),
    },
    {
      name: 'cluster',
      about: 'nodes of RabbitMQ',
      needs: ['management-api'],
      run: async (signal) => checkNodes(await management.listNodes({ signal })),
    },
    {
      name: 'event-exchange',
      about: 'event exchange',
      needs: ['management-api'],
      essential: false,
      run: async (signal) =>
        checkEventExchange(await management.hasExchange(config.eventVhost, EVENT_EXCHANGE, { signal }), config),
    },
    {
      name: 'auth-cache',
      about: 'cache of logins',
      needs: ['management-api'],
      run: async (signal) => checkAuthCache(await management.listEnabledPlugins({ signal }), config),
    },
    {
      name: 'agent-connection',
      about: "the agent's AMQP connection",
      needs: [],
      async run() {
        return await checkEach(
          parseAmqpUrls(config.rabbitmqUrl.reveal()).map((url) => ({
            shown: formatAmqpHost(url),
            async check() {
              await tryConnection(formatAmqpUrl(url));
              return ok(`${agentUser} opens a connection to the vhost ${config.vhost}`);
            },
          })),
        );
      },
    },
    {
      name: 'agent-rights',
      about: "the agent's permissions",
      needs: ['management-api'],
      async run(signal) {
        const inVhost = await management.getPermissions(config.vhost, agentUser, { signal });
        const inEventVhost = await management.getPermissions(config.eventVhost, agentUser, { signal });
        return checkPermissions(agentUser, [
          {
            vhost: config.vhost,
            missing: missingPermissions(inVhost, agentPermissions(config.id, config.namespacePrefix, config.queues)),
          },
          {
            vhost: config.eventVhost,
            missing: missingPermissions(inEventVhost, brokerEventPermissions(config.id)),
            isForEvents: true,
          },
        ]);
      },
    },
  ];
}

export function checkIdentity({ name, tags }: { readonly name: string; readonly tags: readonly string[] }): StepResult {
  if (tags.includes('administrator')) return ok(`answers ${name}, which has the tag administrator`);
  return failed(
    `answers ${name}, which lacks the tag administrator`,
    `Run "rabbitmqctl set_user_tags ${name} administrator": the agent creates users and policies.`,
  );
}

export function checkVersion(overview: {
  readonly rabbitmqVersion: string;
  readonly erlangVersion: string;
}): StepResult {
  const said = `RabbitMQ ${overview.rabbitmqVersion} on Erlang ${overview.erlangVersion}`;
  const [major = 0, minor = 0] = overview.rabbitmqVersion.split('.').map(Number);
  if (major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1])) {
    return failed(said, `Upgrade RabbitMQ to ${OLDEST_VERSION.join('.')} or later.`);
  }
  if (major < SUPPORTED_MAJOR) {
    return warning(said, `Plan an upgrade to RabbitMQ ${SUPPORTED_MAJOR}: this version is no longer supported.`);
  }
  return ok(said);
}

/** Checks that the nodes are one cluster: while they are not, agents change nothing. */
export function checkNodes(nodes: readonly ClusterNode[]): StepResult {
  const view = viewCluster(nodes);
  switch (view.is) {
    case 'whole': {
      if (nodes.length === 1) return ok('one node');
      const isShown = nodes.every(({ partitions }) => partitions !== undefined);
      const shown = isShown ? '' : '; whether nodes are separated is not in the statistics of all of them';
      return ok(`${nodes.length} nodes run in one cluster${shown}`);
    }
    case 'incomplete':
      return warning(
        view.reason,
        'Start the nodes that do not run; one that is gone for good is removed with "rabbitmqctl forget_cluster_node". Rotations wait for them, for one interval at most.',
      );
    case 'split':
      return failed(
        view.reason,
        'Heal the cluster as docs/recover.md says: until then agents make no first claims, and rotate, repair and delete nothing.',
      );
  }
}

/** @param plugins undefined: RabbitMQ does not list them without statistics */
export function checkAuthCache(
  plugins: readonly string[] | undefined,
  { handshakeTimeoutSeconds }: Pick<Config, 'handshakeTimeoutSeconds'>,
): StepResult {
  if (plugins === undefined) return skipped('RabbitMQ does not list its plugins');
  if (!plugins.includes(AUTH_CACHE)) return ok('RabbitMQ checks every login');
  return warning(
    `${AUTH_CACHE} is on: where it is used, a changed or revoked password works until auth_cache.cache_ttl is over`,
    `Set handshakeTimeoutSeconds, now ${handshakeTimeoutSeconds}, to at least the sum of auth_cache.cache_ttl and handshake_timeout: that long after a revocation the agent closes the connections that were opened meanwhile.`,
  );
}

export function checkEventExchange(isThere: boolean, { eventVhost }: Pick<Config, 'eventVhost'>): StepResult {
  if (isThere) return ok(`${EVENT_EXCHANGE} is in the vhost ${eventVhost}`);
  return failed(
    `there is no ${EVENT_EXCHANGE} in the vhost ${eventVhost}`,
    'Run "rabbitmq-plugins enable rabbitmq_event_exchange" on every node, and set eventVhost to event_exchange.vhost of rabbitmq.conf.',
  );
}

/** The number of missing permissions that are printed: a few show which pattern is wrong. */
const SHOWN = 3;

export function checkPermissions(
  user: string,
  vhosts: readonly {
    readonly vhost: string;
    readonly missing: readonly RequiredPermission[];
    /** For broker events alone, without which an agent serves. */
    readonly isForEvents?: boolean;
  }[],
): StepResult {
  const lacking = vhosts.filter(({ missing }) => missing.length > 0);
  if (lacking.length === 0) return ok(`${user} has the permissions that the agent needs`);
  const said = lacking.map(({ vhost, missing }) => {
    const shown = missing.slice(0, SHOWN).map(({ permission, name }) => `${permission} on ${name}`);
    const more = missing.length > SHOWN ? ` and ${missing.length - SHOWN} more` : '';
    return `in the vhost ${vhost} ${user} lacks ${shown.join(', ')}${more}`;
  });
  const result = failed(
    said.join('; '),
    `Set the permissions that docs/operations.md names with "rabbitmqctl set_permissions -p ${lacking[0]?.vhost} ${user} …".`,
  );
  return { ...result, essential: lacking.some(({ isForEvents }) => isForEvents !== true) };
}
