import * as z from 'zod';
import {
  AGENT_ID_PATTERN,
  AGENT_ID_RULE,
  AUDIENCE_PATTERN,
  AUDIENCE_RULE,
  CLIENT_ID_PATTERN,
  CLIENT_ID_RULE,
  NAMESPACE_PATTERN,
} from '../contract/names.ts';
import { parseAmqpUrls, parseHttpUrls } from '../contract/url.ts';
import { queueRule } from './queue-rules.ts';
import {
  countForm,
  isCertificates,
  namePatternForm,
  parseable,
  parseRootUrl,
  string,
  vhostName,
} from './setting-forms.ts';
import { parseHostNames } from './operator-access.ts';
import { readStoreUrl } from './store-url.ts';

/** What is said about a setting besides its form. `docs/configuration.md` is generated from it. */
export interface SettingMeaning {
  /** In Markdown, without a full stop at the end. */
  readonly description: string;
  readonly unit?: string;
  /** The environment variable that overrides the configuration files. */
  readonly variable?: string;
  /** Null in `config/default.yml`, and the agent does not start without a value. */
  readonly required?: true;
}

const boolean = z.boolean({ error: 'must be true or false' });
const seconds = z.int({ error: 'must be a whole number of seconds' }).min(1, { error: 'must be at least 1 second' });
const limits = z.strictObject({ 'max-connections': countForm.optional(), 'max-channels': countForm.optional() });

const namePatterns = z.array(namePatternForm, { error: 'must be a list of regular expressions' });

function meaning(description: string, more: Omit<SettingMeaning, 'description'> = {}): { description: string } {
  return { description, ...more };
}

/** The form and the meaning of every setting that a configuration file may hold. Defaults are in `config/default.yml`. */
export const fileSettings = z.strictObject({
  id: string
    .regex(AGENT_ID_PATTERN, { error: `must consist of ${AGENT_ID_RULE}` })
    .meta(
      meaning(
        'The name of this installation, part of every name on the broker: `rpc/<id>/v1`, `queue/<id>/v1/…`, the user `<id>-claimant`. At most 64 lower-case letters, digits and hyphens; must not begin with `namespacePrefix`. An agent with another id than the others of its store is refused',
      ),
    ),
  // Taskcluster's auth service refuses a request for anything else, so nothing could be claimed.
  audience: string
    .regex(AUDIENCE_PATTERN, { error: `must be ${AUDIENCE_RULE}` })
    .meta(
      meaning(
        'The host name that clients sign requests for. Each installation has its own, so that a request signed for one is invalid at another. The default is refused with `NODE_ENV=production`',
      ),
    ),
  namespacePrefix: string
    .regex(NAMESPACE_PATTERN, { error: 'must be 1 to 64 letters, digits, hyphens or underscores' })
    .meta(meaning('The prefix of every namespace that can be claimed')),
  usernamePrefix: string
    .regex(/^[A-Za-z0-9_.-]{0,64}$/, { error: 'must be at most 64 letters, digits, dots, hyphens or underscores' })
    .meta(meaning('The prefix of the RabbitMQ users of namespaces: `<usernamePrefix><namespace>-1` and `-2`')),
  rabbitmqUrl: parseable(parseAmqpUrls)
    .nullable()
    .meta(
      meaning(
        "The AMQP URL with the agent's own account, which needs the tag `administrator`; the path is the vhost, `/` if absent. For a cluster: one URL for each node, with commas between, which differ in host and port only. The agent tries them in turn, in an order of its own",
        { variable: 'RABBITMQ_URL', required: true },
      ),
    ),
  rabbitmqManagementUrl: parseable(parseHttpUrls)
    .nullable()
    .meta(
      meaning(
        'The URL of the management API. If absent: port 15672 on the host of `rabbitmqUrl` (with `amqps`: https and port 15671). Without credentials in it, those of `rabbitmqUrl` are used. For a cluster: one URL for each node, with commas between; if absent, one for each host of `rabbitmqUrl`',
        { variable: 'RABBITMQ_MANAGEMENT_URL' },
      ),
    ),
  publicAmqpUrl: parseable(parseAmqpUrls)
    .nullable()
    .meta(
      meaning(
        'Scheme, host and port of the connection strings that clients get, and parameters behind a `?`. If absent: scheme, host and port of `rabbitmqUrl`. The vhost is that of `rabbitmqUrl`; another one is refused, because accounts have permissions in no other. Several URLs, with commas between, lead to several nodes: each claim then returns them all, and clients that know only one get one of them, always the same for a namespace',
        { variable: 'PUBLIC_AMQP_URL' },
      ),
    ),
  rabbitmqCa: string
    .refine(isCertificates, { error: 'must be certificates in PEM' })
    .nullable()
    .meta(
      meaning(
        'CA certificates in PEM that TLS connections to RabbitMQ are checked against, instead of those of the system',
        {
          variable: 'RABBITMQ_CA',
        },
      ),
    ),
  storeUrl: parseable(readStoreUrl).meta(
    meaning(
      '`lmdb:<folder>` for a single agent (a path as it is: only a shell replaces `~`); `mongodb://…` or `mongodb+srv://…` for any number of agents (database `pulse-agent` unless the URL names one)',
      { variable: 'STORE_URL' },
    ),
  ),
  taskclusterRootUrl: parseable(parseRootUrl)
    .nullable()
    .meta(
      meaning('The Taskcluster deployment whose auth service checks signatures', {
        variable: 'TASKCLUSTER_ROOT_URL',
        required: true,
      }),
    ),
  taskclusterClientId: string
    .regex(CLIENT_ID_PATTERN, { error: `must be ${CLIENT_ID_RULE}` })
    .nullable()
    .meta(
      meaning(
        "The agent's own Taskcluster client, with the scope `notify:email:*`, which sends notices to owners, and `notify:matrix-room:*` and `notify:slack-channel:*` where contacts are Matrix rooms and Slack channels; `verify` claims with it. It comes with `TASKCLUSTER_ACCESS_TOKEN`: one without the other is refused",
        { variable: 'TASKCLUSTER_CLIENT_ID' },
      ),
    ),
  requestVhost: vhostName
    .nullable()
    .meta(
      meaning(
        'The vhost of the requests: their exchanges and queues, and nothing of a tenant. If absent: the `id`. The agent creates it. It must differ from the vhost of `rabbitmqUrl` and from `eventVhost`',
      ),
    ),
  eventVhost: vhostName.meta(
    meaning("The vhost of RabbitMQ's event exchange: `event_exchange.vhost` in the broker's configuration"),
  ),
  httpPort: z
    .int({ error: 'must be a port number' })
    .min(0, { error: 'must be a port number' })
    .max(65535, { error: 'must be a port number' })
    .nullable()
    .meta(
      meaning('The port of health checks and metrics. If absent, none is opened; `0` chooses any free port', {
        variable: 'HTTP_PORT',
      }),
    ),
  httpHost: string
    .min(1, { error: 'must be an address or a host name of this machine' })
    .meta(
      meaning(
        'The address that health checks and metrics listen on. They ask for no credentials: listen outside of loopback in a guarded network only',
        { variable: 'HTTP_HOST' },
      ),
    ),
  operatorHosts: parseable(parseHostNames)
    .nullable()
    .meta(
      meaning(
        'The names, with commas between, by which browsers reach [the page for operators](page.md) besides loopback names, `httpHost` and the address that they connect to: those that a reverse proxy passes on as `Host`. A request for any other name is refused, whatever its port',
        { variable: 'PULSE_AGENT_OPERATOR_HOSTS' },
      ),
    ),
  rotationIntervalSeconds: seconds.meta(
    meaning(
      'The time between two rotations of a namespace. A client has to claim again at the latest half an interval after the next rotation (`reclaimAt`)',
      { unit: 'seconds' },
    ),
  ),
  defaultLifetimeSeconds: seconds.meta(
    meaning('The lifetime of a namespace after a claim without `expires`; not more than `maxLifetimeSeconds`', {
      unit: 'seconds',
    }),
  ),
  maxLifetimeSeconds: seconds.meta(
    meaning('The latest `expires` that a claim may name, counted from the claim', { unit: 'seconds' }),
  ),
  maxSkewSeconds: seconds
    .max(900, { error: 'must be at most 900 seconds, the limit of Taskcluster' })
    .meta(
      meaning(
        'The largest difference between the clock of a client and that of the agent, and the longest time that a request waits in its queue; at most 900',
        { unit: 'seconds' },
      ),
    ),
  handshakeTimeoutSeconds: seconds.meta(
    meaning(
      "The broker's `handshake_timeout`, which RabbitMQ has in milliseconds and shows to no client: the agent cannot check it, so raise both together. A client that logged in before its credentials were revoked may still open its connection for this long. Add `auth_cache.cache_ttl` where RabbitMQ caches logins",
      { unit: 'seconds' },
    ),
  ),
  requireSealedReplies: boolean.meta(
    meaning('Refuses claims without a `replyKey`, so that credentials leave the agent only encrypted'),
  ),
  accountLimits: limits.meta(
    meaning(
      'The limits `max-connections` and `max-channels` of each claimed account; without a value there is none, `{}`: no limit at all',
    ),
  ),
  maxNamespacesPerClient: countForm
    .nullable()
    .meta(
      meaning(
        'The namespaces that one Taskcluster client may hold. A first claim beyond that is refused; claims of namespaces that exist are not. `null`: any number',
        { unit: 'namespaces' },
      ),
    ),
  requestsPerMinutePerClient: countForm
    .nullable()
    .meta(
      meaning(
        'The signed requests that one agent serves for one Taskcluster client a minute, after its signature was checked; as many may come at once. The rest gets `Unavailable` with `retryAfterSeconds`. `null`: any number',
        { unit: 'requests' },
      ),
    ),
  claimantLimits: limits.meta(meaning('The same limits for the claimant, whose password many clients share')),
  expiryAnnouncementSeconds: seconds.meta(
    meaning('How long before a namespace expires the event `namespace.expiring` is published', { unit: 'seconds' }),
  ),
  connectionMaxAgeSeconds: seconds.meta(
    meaning(
      'The age at which the next reconciliation closes a connection of a claimed account, so that no client keeps working on old credentials',
      { unit: 'seconds' },
    ),
  ),
  reconcileIntervalSeconds: seconds.meta(
    meaning('The time between two full reconciliations of the broker with the store', { unit: 'seconds' }),
  ),
  surveyIntervalSeconds: seconds.meta(
    meaning('The longest time between two surveys of all queues', { unit: 'seconds' }),
  ),
  warnAtMessages: countForm.meta(
    meaning('The depth at which the owner of a queue is warned; less than `deleteAtMessages`', { unit: 'messages' }),
  ),
  deleteAtMessages: countForm.meta(
    meaning('The depth at which a queue is deleted, once its owner was warned', { unit: 'messages' }),
  ),
  warnAtBytes: countForm
    .nullable()
    .meta(
      meaning(
        'The size of all messages of a queue at which its owner is warned, however few they are; less than `deleteAtBytes`. `null` in both: bytes are not watched',
        { unit: 'bytes' },
      ),
    ),
  deleteAtBytes: countForm.nullable().meta(
    meaning('The size of all messages at which a queue is deleted, once its owner was warned', {
      unit: 'bytes',
    }),
  ),
  queues: z
    .array(queueRule, { error: 'must be a list of rules' })
    .meta(
      meaning(
        'Rules for queues with other thresholds, of which the first that matches holds; the settings above hold for all other queues. See [rules](queues-and-notices.md#rules)',
      ),
    ),
  queueBackstopMessages: z
    .union([countForm, z.literal('auto'), z.null()], { error: 'must be a whole number, auto or null' })
    .meta(
      meaning(
        'The depth at which RabbitMQ itself drops the oldest messages of a queue (an operator policy), whether an agent runs or not. At least twice `deleteAtMessages`; `auto`: ten times; `null`: never',
        { unit: 'messages' },
      ),
    ),
  queueBackstopBytes: z
    .union([countForm, z.literal('auto'), z.null()], { error: 'must be a whole number, auto or null' })
    .meta(
      meaning(
        'The size of all ready messages at which the same operator policy drops the oldest. At least twice `deleteAtBytes`; `auto`: ten times, and never if that is `null`; `null`: never',
        { unit: 'bytes' },
      ),
    ),
  streamMaxBytes: countForm
    .nullable()
    .meta(
      meaning(
        'The size at which RabbitMQ drops the oldest segments of a stream of a namespace (an operator policy); a stream has no alerts. `null`: streams are unlimited',
        { unit: 'bytes' },
      ),
    ),
  exemptQueues: namePatterns.meta(
    meaning(
      'Regular expressions, matched against the whole name of a queue, without look-around and back-references. Matching queues are neither warned of nor deleted for their size, and have no backstop; matching streams have no limit. They are deleted all the same with a namespace that expires or is released, and, until the last agent has the setting, by agents without it: see `pulse-agent exempt`',
    ),
  ),
  reservedNamespaces: namePatterns.meta(
    meaning(
      "Regular expressions, matched against the whole name of a namespace, without look-around and back-references. Claims of matching names are refused, their queues and exchanges are never deleted, and their queues are not watched and have no backstop. Default: the names of Taskcluster's own services, whose queues and exchanges may be on the same vhost",
    ),
  ),
  requestPrefetch: countForm
    .max(65535, { error: 'must be at most 65535, the largest prefetch' })
    .meta(meaning('The number of requests that one agent holds unacknowledged', { unit: 'requests' })),
  authConcurrency: countForm.meta(
    meaning(
      'Concurrent calls of one agent to the Taskcluster auth service; 1000 more may wait, further requests get `Unavailable`',
      { unit: 'calls' },
    ),
  ),
  managementConcurrency: countForm.meta(
    meaning("Concurrent calls of one agent to RabbitMQ's management API", { unit: 'calls' }),
  ),
  auditRetentionDays: countForm.meta(meaning('How long audit records are kept in the store', { unit: 'days' })),
  stopDeadlineSeconds: seconds.meta(
    meaning(
      'The time that a stopping agent has to finish the requests it holds; the broker then gives the rest to other agents',
      { unit: 'seconds' },
    ),
  ),
  dryRun: boolean.meta(
    meaning('Runs an agent that reads store and broker, logs what it would change, and changes nothing'),
  ),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      error: 'must be fatal, error, warn, info, debug, trace or silent',
    })
    .meta(
      meaning('The least severe level that is logged: `fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`', {
        variable: 'LOG_LEVEL',
      }),
    ),
});

/** What the configuration files may hold. */
export type FileSettings = z.infer<typeof fileSettings>;

/** The name of a setting. */
export type SettingName = keyof FileSettings;

/** The meaning of every setting, in the order of the schema. */
export const SETTING_MEANINGS: ReadonlyMap<SettingName, SettingMeaning> = new Map(
  Object.entries(fileSettings.shape).map(([name, schema]) => [
    name as SettingName,
    schema.meta() as unknown as SettingMeaning,
  ]),
);
