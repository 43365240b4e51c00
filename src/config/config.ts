import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse as parseYaml } from 'yaml';
import * as z from 'zod';
import { AgentError } from '../util/agent-errors.ts';
import { type NamePattern, readNamePattern } from '../util/name-pattern.ts';
import { Secret } from '../util/secret.ts';
import { type FileSettings, fileSettings, settingRules } from './settings.ts';
import { PACKAGE_ROOT } from '../package-root.ts';

/** Settings whose form in a file is not the form in which the agent uses them. */
type OwnForm =
  | 'exemptQueues'
  | 'queueBackstopMessages'
  | 'rabbitmqUrl'
  | 'rabbitmqManagementUrl'
  | 'publicAmqpUrl'
  | 'rabbitmqCa'
  | 'storeUrl'
  | 'taskclusterRootUrl';

/** Everything that can be set, checked and frozen. `config/default.yml` tells what each setting means. */
export interface Config extends Readonly<Omit<FileSettings, OwnForm>> {
  readonly rabbitmqUrl: Secret;
  /** The virtual host of rabbitmqUrl. */
  readonly vhost: string;
  readonly rabbitmqManagementUrl: Secret;
  readonly publicAmqpUrl: string;
  /** What the agent's own TLS connections to RabbitMQ trust, in PEM; undefined: what the system trusts. */
  readonly rabbitmqCa: string | undefined;
  readonly storeUrl: Secret;
  readonly taskclusterRootUrl: string;
  readonly taskclusterAccessToken: Secret | undefined;
  readonly exemptQueues: readonly NamePattern[];
  /** Null: no backstop. */
  readonly queueBackstopMessages: number | null;
  readonly agentSecret: Secret;
  readonly previousAgentSecrets: readonly Secret[];
  readonly claimantPassword: Secret | undefined;
}

/** Variables that override a setting of the files. */
const OVERRIDES: Readonly<Record<string, keyof FileSettings>> = {
  RABBITMQ_URL: 'rabbitmqUrl',
  RABBITMQ_MANAGEMENT_URL: 'rabbitmqManagementUrl',
  PUBLIC_AMQP_URL: 'publicAmqpUrl',
  RABBITMQ_CA: 'rabbitmqCa',
  STORE_URL: 'storeUrl',
  TASKCLUSTER_ROOT_URL: 'taskclusterRootUrl',
  TASKCLUSTER_CLIENT_ID: 'taskclusterClientId',
  HTTP_HOST: 'httpHost',
  HTTP_PORT: 'httpPort',
  LOG_LEVEL: 'logLevel',
};

/** Secrets under this project's own prefix; `<variable>_FILE` names a file that holds one. */
const OWN_SECRETS = ['PULSE_AGENT_SECRET', 'PULSE_AGENT_PREVIOUS_SECRETS', 'PULSE_AGENT_CLAIMANT_PASSWORD'];

/** Variables under this project's own prefix: any other one with that prefix is a misspelling. */
const CLIENT_VARIABLES = ['PULSE_AGENT_URL', 'PULSE_AGENT_ID', 'PULSE_AGENT_AUDIENCE'];
const OWN_VARIABLES = ['PULSE_AGENT_CONFIG', ...CLIENT_VARIABLES, ...OWN_SECRETS];
const KNOWN_VARIABLES = new Set([...OWN_VARIABLES, ...OWN_SECRETS.map((variable) => `${variable}_FILE`)]);

/** The backstop is so many times the threshold for deletion: an agent that is at work deletes long before. */
const BACKSTOP_FACTOR = 10;

/** The shortest agent secret, in characters: every password is derived from it. */
const SECRET_MIN_LENGTH = 32;

const CONFIG_FOLDER = fileURLToPath(new URL('config/', PACKAGE_ROOT));

/**
 * Reads the configuration: `config/default.yml`, `config/<NODE_ENV>.yml` if there is one, the file named by
 * `PULSE_AGENT_CONFIG`, the environment.
 *
 * @throws AgentError `ConfigurationFault` with one sentence a line for every fault that was found.
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env, configFolder: string = CONFIG_FOLDER): Config {
  const faults: string[] = [];
  const settings: Record<string, unknown> = { ...readSettings(resolve(configFolder, 'default.yml'), faults) };
  const nodeEnv = env['NODE_ENV'];
  if (nodeEnv !== undefined && /^[\w-]+$/.test(nodeEnv) && nodeEnv !== 'default') {
    Object.assign(settings, readSettings(resolve(configFolder, `${nodeEnv}.yml`), faults, { optional: true }));
  }
  const extraFile = env['PULSE_AGENT_CONFIG'];
  if (extraFile) Object.assign(settings, readSettings(resolve(extraFile), faults));
  for (const [variable, setting] of Object.entries(OVERRIDES)) {
    const value = environmentValue(env, variable, faults);
    if (value === undefined) continue;
    settings[setting] = setting === 'httpPort' && /^\d+$/.test(value) ? Number(value) : value;
  }
  for (const variable of Object.keys(env)) {
    if (variable.startsWith('PULSE_AGENT_') && !KNOWN_VARIABLES.has(variable)) {
      faults.push(`The variable ${variable} is unknown: known are ${[...KNOWN_VARIABLES].join(', ')}.`);
    }
  }

  const parsed = fileSettings.safeParse(settings);
  if (!parsed.success) faults.push(...parsed.error.issues.flatMap(sentencesOf));
  const secrets = readSecrets(env, faults);
  faults.push(...settingRules(parsed.data ?? wellFormed(settings, parsed.error.issues), nodeEnv));
  if (!parsed.success || faults.length > 0 || secrets.agentSecret === undefined) {
    throw new AgentError('ConfigurationFault', faults.join('\n'));
  }
  return assemble(parsed.data, { ...secrets, agentSecret: secrets.agentSecret });
}

type Secrets = Pick<Config, 'agentSecret' | 'previousAgentSecrets' | 'claimantPassword' | 'taskclusterAccessToken'>;

function assemble(settings: FileSettings, secrets: Secrets): Config {
  const broker = withVhost(new URL(settings.rabbitmqUrl ?? ''));
  const management = new URL(settings.rabbitmqManagementUrl ?? managementUrlOf(broker));
  if (management.username === '') {
    management.username = broker.username;
    management.password = broker.password;
  }
  const handedOut = withVhost(new URL(settings.publicAmqpUrl ?? broker.href));
  handedOut.username = '';
  handedOut.password = '';
  // Parameters of the agent's own connection, such as the place of its certificate, concern no client.
  if (settings.publicAmqpUrl === null) handedOut.search = '';
  return Object.freeze({
    ...settings,
    ...secrets,
    accountLimits: Object.freeze(settings.accountLimits),
    claimantLimits: Object.freeze(settings.claimantLimits),
    rabbitmqUrl: new Secret(broker.href),
    vhost: decodeURIComponent(broker.pathname.slice(1)),
    rabbitmqManagementUrl: new Secret(management.href),
    publicAmqpUrl: handedOut.href,
    rabbitmqCa: settings.rabbitmqCa ?? undefined,
    storeUrl: new Secret(settings.storeUrl),
    taskclusterRootUrl: settings.taskclusterRootUrl ?? '',
    queueBackstopMessages:
      settings.queueBackstopMessages === 'auto'
        ? BACKSTOP_FACTOR * settings.deleteAtMessages
        : settings.queueBackstopMessages,
    exemptQueues: Object.freeze(settings.exemptQueues.map(readNamePattern)),
  });
}

/** The settings without those that have a fault of form, so that the rules that tie several together can be tried. */
function wellFormed(settings: Record<string, unknown>, issues: readonly z.core.$ZodIssue[]): Partial<FileSettings> {
  const faulty = new Set(issues.map(({ path }) => path[0]));
  return Object.fromEntries(Object.entries(settings).filter(([setting]) => !faulty.has(setting)));
}

/** Names the virtual host: without a path libraries differ on whether `/` or the empty one is meant. */
function withVhost(url: URL): URL {
  if (url.pathname === '' || url.pathname === '/') url.pathname = '/%2F';
  return url;
}

function managementUrlOf(broker: URL): string {
  return broker.protocol === 'amqps:' ? `https://${broker.hostname}:15671` : `http://${broker.hostname}:15672`;
}

function readSettings(path: string, faults: string[], options = { optional: false }): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (options.optional && (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    faults.push(`The configuration file ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
    return {};
  }
  try {
    // Warnings quote the file, and would go to standard error.
    const settings: unknown = parseYaml(text, { logLevel: 'error' }) ?? {};
    if (typeof settings === 'object' && !Array.isArray(settings)) return settings as Record<string, unknown>;
    faults.push(`The configuration file ${path} must hold settings as "name: value" lines.`);
  } catch (error) {
    // Only the first line: the rest of a YAML error quotes the file, which may hold a URL with a password.
    faults.push(`The configuration file ${path} is not YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  return {};
}

/** The value of a variable, or the content of the file that `<variable>_FILE` names. Empty counts as absent. */
export function environmentValue(env: NodeJS.ProcessEnv, variable: string, faults: string[]): string | undefined {
  const path = env[`${variable}_FILE`];
  if (path && env[variable]) faults.push(`Set either ${variable} or ${variable}_FILE, not both.`);
  if (!path) return env[variable] || undefined;
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '') || undefined;
  } catch (error) {
    faults.push(`The file named by ${variable}_FILE cannot be read (${(error as NodeJS.ErrnoException).code}).`);
    return undefined;
  }
}

function readSecrets(
  env: NodeJS.ProcessEnv,
  faults: string[],
): Omit<Secrets, 'agentSecret'> & { agentSecret: Secret | undefined } {
  const agentSecret = environmentValue(env, 'PULSE_AGENT_SECRET', faults);
  if (agentSecret === undefined || agentSecret.length < SECRET_MIN_LENGTH) {
    faults.push(
      `Set PULSE_AGENT_SECRET to at least ${SECRET_MIN_LENGTH} random characters (openssl rand -base64 33 makes some); keep them: without them no credential can be handed out again.`,
    );
  }
  const previous = previousSecrets(environmentValue(env, 'PULSE_AGENT_PREVIOUS_SECRETS', faults), faults);
  const claimantPassword = environmentValue(env, 'PULSE_AGENT_CLAIMANT_PASSWORD', faults);
  const accessToken = environmentValue(env, 'TASKCLUSTER_ACCESS_TOKEN', faults);
  return {
    agentSecret: agentSecret === undefined ? undefined : new Secret(agentSecret),
    previousAgentSecrets: Object.freeze(previous.map((value) => new Secret(value))),
    claimantPassword: claimantPassword === undefined ? undefined : new Secret(claimantPassword),
    taskclusterAccessToken: accessToken === undefined ? undefined : new Secret(accessToken),
  };
}

/** Secrets with commas between them, or a JSON array of strings for secrets that hold commas themselves. */
function previousSecrets(value: string | undefined, faults: string[]): string[] {
  if (value === undefined) return [];
  let secrets: unknown = value.split(',').map((secret) => secret.trim());
  if (value.trimStart().startsWith('[')) {
    try {
      secrets = JSON.parse(value);
    } catch {
      // The check below says it.
    }
  }
  const checked = z.array(z.string().min(SECRET_MIN_LENGTH)).safeParse(secrets);
  if (checked.success) return checked.data;
  faults.push(
    `PULSE_AGENT_PREVIOUS_SECRETS must be secrets of at least ${SECRET_MIN_LENGTH} characters with commas between them, or a JSON array of such strings.`,
  );
  return [];
}

function sentencesOf(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `The setting ${[...issue.path, key].join('.')} is unknown: see config/default.yml.`);
  }
  return [`The setting ${issue.path.join('.')} ${issue.message}.`];
}
