import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import {
  type AmqpUrl,
  amqpLogin,
  formatAmqpHost,
  formatAmqpUrls,
  formatHttpUrls,
  parseAmqpUrls,
  parseHttpUrl,
  parseHttpUrls,
} from '../contract/url.ts';
import { AgentError } from '../util/agent-errors.ts';
import { type NamePattern, readNamePattern } from '../util/name-pattern.ts';
import { Secret } from '../util/secret.ts';
import { environmentValue, SECRET_MIN_LENGTH, unknownVariables } from './environment.ts';
import { backstopOf, completeRule, type QueueRule } from './queue-rules.ts';
import { operatorTokenFault, parseHostNames } from './operator-access.ts';
import { mergeLayers, readSettingLayers } from './setting-layers.ts';
import { settingRules } from './setting-rules.ts';
import { type FileSettings, fileSettings } from './settings.ts';
import { PACKAGE_ROOT } from '../package-root.ts';

/** Settings that the agent uses in another form than a file has them. */
type ConvertedSetting =
  | 'exemptQueues'
  | 'operatorHosts'
  | 'queueBackstopMessages'
  | 'queueBackstopBytes'
  | 'rabbitmqUrl'
  | 'rabbitmqManagementUrl'
  | 'requestVhost'
  | 'reservedNamespaces'
  | 'publicAmqpUrl'
  | 'queues'
  | 'rabbitmqCa'
  | 'storeUrl'
  | 'taskclusterRootUrl';

/** The whole configuration, checked and frozen. `settings.ts` says what each setting means. */
export interface Config extends Readonly<Omit<FileSettings, ConvertedSetting>> {
  /** One URL or several, as `parseAmqpUrls` reads them; so are the next three. */
  readonly rabbitmqUrl: Secret;
  /** The user of rabbitmqUrl. */
  readonly agentUser: string;
  /** The virtual host of rabbitmqUrl. */
  readonly vhost: string;
  /** The virtual host of the requests. */
  readonly requestVhost: string;
  /** rabbitmqUrl with the virtual host of the requests. */
  readonly rabbitmqRequestUrl: Secret;
  readonly rabbitmqManagementUrl: Secret;
  readonly publicAmqpUrl: string;
  /** CA certificates in PEM for TLS connections to RabbitMQ; undefined: those of the system. */
  readonly rabbitmqCa: string | undefined;
  readonly storeUrl: Secret;
  readonly taskclusterRootUrl: string;
  readonly taskclusterAccessToken: Secret | undefined;
  readonly exemptQueues: readonly NamePattern[];
  /** The first that matches holds. */
  readonly queues: readonly QueueRule[];
  /** In lower case, IPv6 addresses without brackets. */
  readonly operatorHosts: readonly string[];
  readonly reservedNamespaces: readonly NamePattern[];
  /** Null: the backstop does not count messages. */
  readonly queueBackstopMessages: number | null;
  /** Null: the backstop does not count bytes. */
  readonly queueBackstopBytes: number | null;
  readonly agentSecret: Secret;
  readonly previousAgentSecrets: readonly Secret[];
  readonly claimantPassword: Secret | undefined;
  /** Undefined: there is no page for operators. */
  readonly operatorToken: Secret | undefined;
}

export const CONFIG_FOLDER = fileURLToPath(new URL('config/', PACKAGE_ROOT));

/**
 * Reads the configuration: `config/default.yml`, `config/<NODE_ENV>.yml` if there is one, the files named by
 * `PULSE_AGENT_CONFIG`, the environment.
 *
 * @throws AgentError `ConfigurationFault` with one sentence a line, one for each fault
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env, configFolder: string = CONFIG_FOLDER): Config {
  const faults: string[] = [];
  const settings = mergeLayers(readSettingLayers(env, configFolder, faults));
  const nodeEnv = env['NODE_ENV'];
  faults.push(...unknownVariables(env));

  const parsed = fileSettings.safeParse(settings);
  if (!parsed.success) faults.push(...parsed.error.issues.flatMap(sentencesOf));
  const secrets = readSecrets(env, faults);
  if (Boolean(settings['taskclusterClientId']) !== (secrets.taskclusterAccessToken !== undefined)) {
    faults.push(
      'Set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN together, or neither: with one of them the agent can send no notice.',
    );
  }
  faults.push(...settingRules(parsed.data ?? withoutMalformed(settings, parsed.error.issues), nodeEnv));
  if (!parsed.success || faults.length > 0 || secrets.agentSecret === undefined) {
    throw new AgentError('ConfigurationFault', faults.join('\n'));
  }
  return assemble(parsed.data, { ...secrets, agentSecret: secrets.agentSecret });
}

type Secrets = Pick<
  Config,
  'agentSecret' | 'previousAgentSecrets' | 'claimantPassword' | 'taskclusterAccessToken' | 'operatorToken'
>;

function assemble(settings: FileSettings, secrets: Secrets): Config {
  const brokers = parseAmqpUrls(settings.rabbitmqUrl ?? '');
  const [broker] = brokers;
  // Named in every URL: without a path some libraries take `/` and some the empty one.
  const vhost = broker.vhost ?? '/';
  const managements = parseHttpUrls(settings.rabbitmqManagementUrl ?? defaultManagementUrls(brokers));
  // Query parameters, such as the path of a certificate, are for the agent's own connection only.
  const publicUrls =
    settings.publicAmqpUrl === null
      ? brokers.map((url) => ({ ...url, search: '' }))
      : parseAmqpUrls(settings.publicAmqpUrl);
  const withVhost = (name: string): Secret =>
    new Secret(formatAmqpUrls(brokers.map((url) => ({ ...url, vhost: name }))));
  const requestVhost = settings.requestVhost ?? settings.id;
  return Object.freeze({
    ...settings,
    ...secrets,
    accountLimits: Object.freeze(settings.accountLimits),
    claimantLimits: Object.freeze(settings.claimantLimits),
    rabbitmqUrl: withVhost(vhost),
    agentUser: amqpLogin(broker).username,
    vhost,
    requestVhost,
    rabbitmqRequestUrl: withVhost(requestVhost),
    rabbitmqManagementUrl: new Secret(
      formatHttpUrls(managements.map(({ url, login }) => ({ url, login: login ?? amqpLogin(broker) }))),
    ),
    publicAmqpUrl: formatAmqpUrls(publicUrls.map((url) => ({ ...url, vhost, login: undefined }))),
    rabbitmqCa: settings.rabbitmqCa ?? undefined,
    storeUrl: new Secret(settings.storeUrl),
    taskclusterRootUrl: parseHttpUrl(settings.taskclusterRootUrl ?? '').url,
    queueBackstopMessages: backstopOf(settings.queueBackstopMessages, settings.deleteAtMessages),
    queueBackstopBytes: backstopOf(settings.queueBackstopBytes, settings.deleteAtBytes),
    queues: Object.freeze(settings.queues.map((rule) => completeRule(rule, settings))),
    operatorHosts: Object.freeze(settings.operatorHosts === null ? [] : parseHostNames(settings.operatorHosts)),
    exemptQueues: Object.freeze(settings.exemptQueues.map(readNamePattern)),
    reservedNamespaces: Object.freeze(settings.reservedNamespaces.map(readNamePattern)),
  });
}

/** The settings with a valid form: the rules between settings are checked even when another setting is malformed. */
function withoutMalformed(
  settings: Record<string, unknown>,
  issues: readonly z.core.$ZodIssue[],
): Partial<FileSettings> {
  const faulty = new Set(issues.map(({ path }) => path[0]));
  return Object.fromEntries(Object.entries(settings).filter(([setting]) => !faulty.has(setting)));
}

/** One for each host: nodes on one machine have other ports, which nothing says. */
function defaultManagementUrls(brokers: readonly AmqpUrl[]): string {
  const urls = brokers.map(({ protocol, hostname }) => {
    const secure = protocol === 'amqps';
    return `${secure ? 'https' : 'http'}://${formatAmqpHost({ hostname, port: secure ? 15671 : 15672 })}`;
  });
  return [...new Set(urls)].join(',');
}

function readSecrets(
  env: NodeJS.ProcessEnv,
  faults: string[],
): Omit<Secrets, 'agentSecret'> & { agentSecret: Secret | undefined } {
  const agentSecret = environmentValue(env, 'PULSE_AGENT_SECRET', faults);
  if (agentSecret === undefined || agentSecret.length < SECRET_MIN_LENGTH) {
    faults.push(
      `Set PULSE_AGENT_SECRET to at least ${SECRET_MIN_LENGTH} random characters (for example with openssl rand -base64 33) and keep a copy: the passwords of existing accounts are derived from it.`,
    );
  }
  const previous = previousSecrets(environmentValue(env, 'PULSE_AGENT_PREVIOUS_SECRETS', faults), faults);
  const claimantPassword = environmentValue(env, 'PULSE_AGENT_CLAIMANT_PASSWORD', faults);
  const accessToken = environmentValue(env, 'TASKCLUSTER_ACCESS_TOKEN', faults);
  const operatorToken = environmentValue(env, 'PULSE_AGENT_OPERATOR_TOKEN', faults);
  const others = [agentSecret, ...previous, claimantPassword, accessToken].filter((value) => value !== undefined);
  const tokenFault = operatorToken === undefined ? undefined : operatorTokenFault(operatorToken, others);
  if (tokenFault !== undefined) faults.push(tokenFault);
  return {
    agentSecret: agentSecret === undefined ? undefined : new Secret(agentSecret),
    previousAgentSecrets: Object.freeze(previous.map((value) => new Secret(value))),
    claimantPassword: claimantPassword === undefined ? undefined : new Secret(claimantPassword),
    taskclusterAccessToken: accessToken === undefined ? undefined : new Secret(accessToken),
    operatorToken: operatorToken === undefined ? undefined : new Secret(operatorToken),
  };
}

/** Secrets with commas between them, or a JSON array of strings for secrets that contain commas. */
function previousSecrets(value: string | undefined, faults: string[]): string[] {
  if (value === undefined) return [];
  let secrets: unknown = value.split(',').map((secret) => secret.trim());
  if (value.trimStart().startsWith('[')) {
    try {
      secrets = JSON.parse(value);
    } catch {
      // The schema below refuses it.
    }
  }
  const checked = z.array(z.string().min(SECRET_MIN_LENGTH)).safeParse(secrets);
  if (checked.success) return checked.data;
  faults.push(
    `PULSE_AGENT_PREVIOUS_SECRETS must be secrets of at least ${SECRET_MIN_LENGTH} characters, separated by commas or in a JSON array.`,
  );
  return [];
}

function sentencesOf(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `The setting ${[...issue.path, key].join('.')} is unknown: see config/default.yml.`);
  }
  return [`The setting ${issue.path.join('.')} ${issue.message}.`];
}
