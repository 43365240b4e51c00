import type { Config } from '../config/config.ts';
import { type AmqpUrl, amqpLogin, type HttpUrl, parseAmqpUrls, parseHttpUrl, parseHttpUrls } from '../contract/url.ts';
import { parseStoreUrl } from '../config/store-url.ts';
import { isLoopback } from './addresses.ts';

/** What the rules use besides the configuration. */
export interface StartFacts {
  readonly nodeEnv: string | undefined;
  /** Whether broker events are consumed. */
  readonly brokerEvents: boolean;
}

/** A setting that works, but may not be intended. */
export interface RiskyChoice {
  /** Stable between versions: operators search the log for it. */
  readonly choice: string;
  /** The consequence, and what to do. Holds no secret. */
  readonly sentence: string;
}

/** Shorter intervals, in seconds, cause noticeable load. */
const SHORT_INTERVALS = {
  rotationIntervalSeconds: 300,
  reconcileIntervalSeconds: 30,
  surveyIntervalSeconds: 10,
} as const;
const SHORT_PASSWORD = 16;
/** A random text of 32 characters has fewer different ones than this in at most one of 10^8 cases. */
const FEW_CHARACTERS = 12;

/** The risky choices in the configuration of this agent. */
export function riskyChoices(config: Config, facts: StartFacts): RiskyChoice[] {
  return [...addresses(config), ...claims(config), ...secrets(config), ...running(config, facts)].flatMap(
    ([choice, isRisky, sentence]) => (isRisky ? [{ choice, sentence }] : []),
  );
}

type Rule = readonly [choice: string, isRisky: boolean, sentence: string];

function addresses(config: Config): Rule[] {
  const store = parseStoreUrl(config.storeUrl.reveal());
  return [
    [
      'plain-amqp',
      parseAmqpUrls(config.rabbitmqUrl.reveal()).some(isPlain),
      "RABBITMQ_URL is amqp:// to another machine: the agent's password crosses the network in the clear. Use amqps://.",
    ],
    [
      'plain-management',
      parseHttpUrls(config.rabbitmqManagementUrl.reveal()).some(isPlain),
      "RABBITMQ_MANAGEMENT_URL is http:// to another machine: the administrator's password crosses the network in the clear. Use https://.",
    ],
    [
      'plain-public-amqp',
      parseAmqpUrls(config.publicAmqpUrl).some(isPlain),
      'PUBLIC_AMQP_URL is amqp:// to another machine: the passwords of clients cross the network in the clear. Use amqps://.',
    ],
    [
      'plain-taskcluster',
      isPlain(parseHttpUrl(config.taskclusterRootUrl)),
      'TASKCLUSTER_ROOT_URL is http:// to another machine: an attacker on the network can forge the answers about signatures. Use https://.',
    ],
    [
      'plain-store',
      store.kind === 'mongodb' && !store.isTls && store.hosts.some((host) => !isLoopback(host)),
      'STORE_URL connects to another machine without TLS: an attacker on the network can read and change records. Add tls=true.',
    ],
    [
      'open-http',
      config.httpPort !== null && !isLoopback(config.httpHost),
      `Health and metrics are served at ${config.httpHost} without authentication. Allow only the monitoring system to reach the port.`,
    ],
    [
      'plain-page',
      config.operatorToken !== undefined && config.httpPort !== null && !isLoopback(config.httpHost),
      `The page for operators is served at ${config.httpHost} without TLS: its token crosses the network in the clear unless a reverse proxy with TLS is in front of it. See docs/page.md.`,
    ],
    [
      'page-without-port',
      config.operatorToken !== undefined && config.httpPort === null,
      'PULSE_AGENT_OPERATOR_TOKEN is set, and nothing serves the page for operators. Set HTTP_PORT.',
    ],
  ];
}

function claims(config: Config): Rule[] {
  const { claimantPassword, claimantLimits } = config;
  return [
    [
      'default-audience',
      config.audience === 'pulse-agent',
      'The audience has its default value: a request that was signed for another installation with that value is valid here. Set audience to a unique value.',
    ],
    [
      'unsealed-replies',
      !config.requireSealedReplies,
      'Replies with credentials need not be sealed: tracing and reply queues may reveal them. Set requireSealedReplies when all clients send a replyKey.',
    ],
    [
      'no-claimant',
      claimantPassword === undefined,
      'The agent creates no claimant: clients need another RabbitMQ user for their first claim. Set PULSE_AGENT_CLAIMANT_PASSWORD.',
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
      'The claimant may open any number of connections, and its password is shared by many clients. Set max-connections in claimantLimits.',
    ],
  ];
}

function secrets(config: Config): Rule[] {
  const agentSecret = config.agentSecret.reveal();
  const claimant = config.claimantPassword?.reveal();
  const broker = amqpLogin(parseAmqpUrls(config.rabbitmqUrl.reveal())[0]);
  const otherPasswords = [claimant, broker.password, config.taskclusterAccessToken?.reveal()];
  return [
    [
      'previous-secret-is-current',
      config.previousAgentSecrets.some((secret) => secret.reveal() === agentSecret),
      'PULSE_AGENT_PREVIOUS_SECRETS contains the current secret: passwords are not rotated to a new secret. Put the previous secret there.',
    ],
    [
      'secret-used-twice',
      otherPasswords.includes(agentSecret),
      'PULSE_AGENT_SECRET equals another password: a person who knows that one can derive all passwords. Generate a separate secret.',
    ],
    [
      'weak-secret',
      new Set(agentSecret).size < FEW_CHARACTERS,
      'PULSE_AGENT_SECRET has few different characters and can be guessed. Generate one with openssl rand -base64 33, and rotate to it.',
    ],
    [
      'short-claimant-password',
      claimant !== undefined && claimant.length < SHORT_PASSWORD,
      `PULSE_AGENT_CLAIMANT_PASSWORD has fewer than ${SHORT_PASSWORD} characters: an attacker who guesses it can flood the agent with requests.`,
    ],
    [
      'default-broker-account',
      broker.username === 'guest' && broker.password === 'guest',
      "RABBITMQ_URL uses RabbitMQ's default account, whose password is public. Create an account for the agent, and delete guest.",
    ],
  ];
}

function running(config: Config, { nodeEnv, brokerEvents }: StartFacts): Rule[] {
  const short = Object.entries(SHORT_INTERVALS).flatMap(([setting, least]) =>
    config[setting as keyof typeof SHORT_INTERVALS] < least ? [setting] : [],
  );
  return [
    [
      'no-broker-events',
      !brokerEvents,
      `Broker events are unavailable: external changes are detected only every ${config.reconcileIntervalSeconds} s. Enable rabbitmq_event_exchange, or set eventVhost.`,
    ],
    [
      'embedded-store-in-production',
      nodeEnv === 'production' && parseStoreUrl(config.storeUrl.reveal()).kind === 'lmdb',
      'The store is LMDB: only one agent can run, and clients cannot claim while it restarts. Use MongoDB for several agents.',
    ],
    [
      'no-notices',
      config.taskclusterClientId === null || config.taskclusterAccessToken === undefined,
      'Owners get no notice before an overgrown queue is deleted. Set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN to a client with the scope notify:email:*.',
    ],
    [
      'short-intervals',
      short.length > 0,
      `Very short intervals load the broker and the store: ${short.join(', ')}. See config/default.yml for the defaults.`,
    ],
    [
      'connections-end-early',
      config.connectionMaxAgeSeconds < config.rotationIntervalSeconds,
      'Connections are closed although their credentials are current, as connectionMaxAgeSeconds is less than rotationIntervalSeconds. Raise it.',
    ],
    [
      'little-log',
      config.logLevel === 'silent' || config.logLevel === 'fatal',
      `With logLevel ${config.logLevel} failures are not logged. Set warn or info.`,
    ],
  ];
}

/** Whether the URL leads to another machine without TLS. */
function isPlain({ protocol, hostname }: AmqpUrl | HttpUrl): boolean {
  return (protocol === 'amqp' || protocol === 'http') && !isLoopback(hostname);
}
