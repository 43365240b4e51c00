import type { Config } from '../config/config.ts';
import { mongoHosts, isLoopback, isMongoWithoutTls } from './addresses.ts';

/** What a start knows besides the configuration. */
export interface StartFacts {
  readonly nodeEnv: string | undefined;
  /** Whether broker events come. */
  readonly brokerEvents: boolean;
}

/** A setting that works and that an operator should have meant. */
export interface RiskyChoice {
  /** Stays the same from version to version, for whoever looks for it in the log. */
  readonly choice: string;
  /** What may come of it, and what to do. Holds no secret. */
  readonly sentence: string;
}

/** Below these, in seconds, work is done so often that it is felt. */
const SHORT = { rotationIntervalSeconds: 300, reconcileIntervalSeconds: 30, surveyIntervalSeconds: 10 } as const;
const SHORT_PASSWORD = 16;
/** A random text of 32 characters has fewer than this many different ones once in 10^8 times at most. */
const FEW_CHARACTERS = 12;

/** All that is risky about how this agent is set up. */
export function riskyChoices(config: Config, facts: StartFacts): RiskyChoice[] {
  return [...addresses(config), ...claims(config), ...secrets(config), ...running(config, facts)].flatMap(
    ([choice, isRisky, sentence]) => (isRisky ? [{ choice, sentence }] : []),
  );
}

type Rule = readonly [choice: string, isRisky: boolean, sentence: string];

function addresses(config: Config): Rule[] {
  const store = config.storeUrl.reveal();
  return [
    [
      'plain-amqp',
      isPlain(config.rabbitmqUrl.reveal(), 'amqp:'),
      "RABBITMQ_URL is amqp:// to another machine: the agent's password crosses the network in the clear. Use amqps://.",
    ],
    [
      'plain-management',
      isPlain(config.rabbitmqManagementUrl.reveal(), 'http:'),
      "The management API is called by http:// on another machine: the administrator's password crosses the network in the clear. Use https://.",
    ],
    [
      'plain-public-amqp',
      isPlain(config.publicAmqpUrl, 'amqp:'),
      'Connection strings are amqp:// to another machine: the passwords of clients cross the network in the clear. Set PUBLIC_AMQP_URL to amqps://.',
    ],
    [
      'plain-taskcluster',
      isPlain(config.taskclusterRootUrl, 'http:'),
      'TASKCLUSTER_ROOT_URL is http:// to another machine: whoever is between can say who signed. Use https://.',
    ],
    [
      'plain-store',
      isMongoWithoutTls(store) && mongoHosts(store).some((host) => !isLoopback(host)),
      'STORE_URL has no TLS to another machine: whoever is between reads and changes records. Add tls=true.',
    ],
    [
      'open-http',
      config.httpPort !== null && !isLoopback(config.httpHost),
      `Health and metrics are served at ${config.httpHost} without credentials: let only the monitoring reach the port.`,
    ],
  ];
}

function claims(config: Config): Rule[] {
  const { claimantPassword, claimantLimits } = config;
  return [
    [
      'default-audience',
      config.audience === 'pulse-agent',
      'The audience is the default: a request signed for another installation with the default is valid here. Set one of your own.',
    ],
    [
      'unsealed-replies',
      !config.requireSealedReplies,
      'Claims need not be sealed: credentials may be read by tracing or in reply queues. Set requireSealedReplies when all clients send a replyKey.',
    ],
    [
      'no-claimant',
      claimantPassword === undefined,
      'No claimant is kept: clients need a RabbitMQ user from elsewhere for their first claim. Set PULSE_AGENT_CLAIMANT_PASSWORD.',
    ],
    [
      'unlimited-accounts',
      config.accountLimits['max-connections'] === undefined,
      'A claimed account may open any number of connections: one client can use up those of the broker. Set max-connections in accountLimits.',
    ],
    [
      'unlimited-clients',
      config.maxNamespacesPerClient === null || config.requestsPerMinutePerClient === null,
      'One client may claim any number of namespaces or send any number of requests. Set maxNamespacesPerClient and requestsPerMinutePerClient.',
    ],
    [
      'unlimited-claimant',
      claimantPassword !== undefined && claimantLimits['max-connections'] === undefined,
      'The claimant may open any number of connections, and many know its password. Set max-connections in claimantLimits.',
    ],
  ];
}

function secrets(config: Config): Rule[] {
  const agentSecret = config.agentSecret.reveal();
  const claimant = config.claimantPassword?.reveal();
  const broker = new URL(config.rabbitmqUrl.reveal());
  const others = [claimant, decodeURIComponent(broker.password), config.taskclusterAccessToken?.reveal()];
  return [
    [
      'previous-secret-is-current',
      config.previousAgentSecrets.some((secret) => secret.reveal() === agentSecret),
      'PULSE_AGENT_PREVIOUS_SECRETS has the present secret in it: nothing changes hands. Put the former one there.',
    ],
    [
      'secret-used-twice',
      others.includes(agentSecret),
      'PULSE_AGENT_SECRET is used as another password, too: who knows that one can derive all. Make one of its own.',
    ],
    [
      'weak-secret',
      new Set(agentSecret).size < FEW_CHARACTERS,
      'PULSE_AGENT_SECRET has few different characters: it can be guessed. Make one with openssl rand -base64 33, and rotate to it.',
    ],
    [
      'short-claimant-password',
      claimant !== undefined && claimant.length < SHORT_PASSWORD,
      `PULSE_AGENT_CLAIMANT_PASSWORD has less than ${SHORT_PASSWORD} characters: whoever guesses it may flood the requests.`,
    ],
    [
      'default-broker-account',
      broker.username === 'guest' && broker.password === 'guest',
      "RABBITMQ_URL has RabbitMQ's default account: everybody knows its password. Make an account for the agent, and delete guest.",
    ],
  ];
}

function running(config: Config, { nodeEnv, brokerEvents }: StartFacts): Rule[] {
  const isShort = Object.entries(SHORT).flatMap(([setting, least]) =>
    config[setting as keyof typeof SHORT] < least ? [setting] : [],
  );
  return [
    [
      'no-broker-events',
      !brokerEvents,
      `There are no broker events: what others change is found every ${config.reconcileIntervalSeconds} s only. Switch rabbitmq_event_exchange on, or set eventVhost.`,
    ],
    [
      'embedded-store-in-production',
      nodeEnv === 'production' && config.storeUrl.reveal().startsWith('lmdb:'),
      'The store is LMDB: one agent alone, and no claims while it restarts. Use MongoDB for several.',
    ],
    [
      'no-notices',
      config.taskclusterClientId === null || config.taskclusterAccessToken === undefined,
      'No notices can be sent to owners of queues before one is deleted: set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN to a client with the scope notify:email:*.',
    ],
    [
      'short-intervals',
      isShort.length > 0,
      `Very short: ${isShort.join(', ')}. The broker and the store are asked that often; see config/default.yml for usual values.`,
    ],
    [
      'connections-end-early',
      config.connectionMaxAgeSeconds < config.rotationIntervalSeconds,
      'Connections are closed while their credentials are the newest, as connectionMaxAgeSeconds is less than rotationIntervalSeconds: raise it.',
    ],
    [
      'little-log',
      config.logLevel === 'silent' || config.logLevel === 'fatal',
      `With logLevel ${config.logLevel} nobody hears of failures. Set warn or info.`,
    ],
  ];
}

/** Whether what goes there crosses a network in the clear. */
function isPlain(url: string, scheme: 'amqp:' | 'http:'): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === scheme && !isLoopback(hostname);
}
