import type { Config } from '../config/config.ts';
import { environmentValue } from '../config/environment.ts';
import { isCertificates } from '../config/setting-forms.ts';
import { parseAmqpUrls } from '../contract/url.ts';
import type { ClientCredentials } from '../contract/signature.ts';
import { AgentError } from '../util/agent-errors.ts';
import { UsageFault } from './define-command.ts';

/** The options of every command that sends requests. */
export interface ClientCommandOptions {
  readonly id?: string | undefined;
  readonly audience?: string | undefined;
  readonly timeout?: string | undefined;
}

/** Which agent a command calls, whatever the connection. */
export interface AgentSettings {
  readonly id: string | undefined;
  readonly audience: string | undefined;
  /** CA certificates for RabbitMQ in PEM; undefined: those of the system. */
  readonly ca: string | undefined;
  /** The configuration of an agent, if its variables are loaded. */
  readonly config: Config | undefined;
}

/** The same with the AMQP URL for requests. */
export interface ClientSettings extends AgentSettings {
  readonly url: string;
}

const NO_URL =
  "Set PULSE_AGENT_URL to the broker's AMQP URL with the claimant's username and password; the operator has it. Or load the environment of an agent, which has the address and the claimant.";

/** Variables of an agent alone: a service may have its own RABBITMQ_URL. */
const AGENT_VARIABLES = ['PULSE_AGENT_SECRET', 'PULSE_AGENT_CLAIMANT_PASSWORD', 'PULSE_AGENT_CONFIG'];

/**
 * The settings from the options, the variables of a client, and for what these leave out the configuration of an agent.
 *
 * @throws UsageFault that says exactly what is missing
 */
export async function clientSettings(env: NodeJS.ProcessEnv, options: ClientCommandOptions): Promise<ClientSettings> {
  const given = env['PULSE_AGENT_URL'] || undefined;
  const settings = await agentSettings(env, options, given === undefined ? 'PULSE_AGENT_URL is not set' : undefined);
  const url = given ?? (await claimantUrlOf(settings.config));
  try {
    parseAmqpUrls(url);
  } catch (error) {
    throw new UsageFault(`PULSE_AGENT_URL ${(error as Error).message}.`);
  }
  return { ...settings, url };
}

/**
 * The settings that do not depend on the connection.
 *
 * @param need why the configuration of an agent is needed, if it is: then faults in it matter
 * @throws UsageFault
 */
export async function agentSettings(
  env: NodeJS.ProcessEnv,
  options: ClientCommandOptions,
  need: string | undefined,
): Promise<AgentSettings> {
  const config = await agentConfigIn(env, need);
  return {
    id: options.id ?? (env['PULSE_AGENT_ID'] || config?.id),
    audience: options.audience ?? (env['PULSE_AGENT_AUDIENCE'] || config?.audience),
    ca: brokerCa(env) ?? config?.rabbitmqCa,
    config,
  };
}

async function agentConfigIn(env: NodeJS.ProcessEnv, need: string | undefined): Promise<Config | undefined> {
  if (!AGENT_VARIABLES.some((name) => Boolean(env[name] || env[`${name}_FILE`]))) return undefined;
  // Imported only here: most clients have no configuration of an agent.
  const { loadConfig } = await import('../config/config.ts');
  try {
    return loadConfig(env);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    if (need === undefined) return undefined;
    const faults = error.message.split('\n').join(' ');
    throw new UsageFault(`${need}, and the configuration of the agent cannot be used in its place: ${faults}`);
  }
}

/** At the agent's own address: this is where its environment is, and it may not reach the public one. */
async function claimantUrlOf(config: Config | undefined): Promise<string> {
  if (config === undefined) throw new UsageFault(NO_URL);
  const { claimantUrl } = await import('../config/claimant-url.ts');
  const url = claimantUrl(config, 'rabbitmqUrl');
  if (url !== undefined) return url.reveal();
  throw new UsageFault(
    'The configuration of the agent has no claimant, with which requests are sent: set PULSE_AGENT_CLAIMANT_PASSWORD as for the agents, or PULSE_AGENT_URL to an AMQP URL with another account that may send requests.',
  );
}

/**
 * The CA certificates for RabbitMQ in the environment, in PEM.
 *
 * @throws UsageFault
 */
function brokerCa(env: NodeJS.ProcessEnv): string | undefined {
  const ca = valueIn(env, 'RABBITMQ_CA');
  if (ca !== undefined && !isCertificates(ca)) {
    throw new UsageFault('RABBITMQ_CA must be certificates in PEM, and RABBITMQ_CA_FILE the path of a file with them.');
  }
  return ca;
}

/**
 * The Taskcluster client that signs requests.
 *
 * @throws UsageFault that names the variables that are missing
 */
export function credentialsIn(env: NodeJS.ProcessEnv, config: Config | undefined): ClientCredentials {
  const clientId = valueIn(env, 'TASKCLUSTER_CLIENT_ID') ?? config?.taskclusterClientId ?? undefined;
  const accessToken = valueIn(env, 'TASKCLUSTER_ACCESS_TOKEN');
  const certificate = env['TASKCLUSTER_CERTIFICATE'];
  if (clientId === undefined || accessToken === undefined) {
    const missing = Object.entries({ TASKCLUSTER_CLIENT_ID: clientId, TASKCLUSTER_ACCESS_TOKEN: accessToken })
      .filter(([, value]) => value === undefined)
      .map(([name]) => name);
    throw new UsageFault(`Set ${missing.join(' and ')}: the request must be signed by a Taskcluster client.`);
  }
  return { clientId, accessToken, ...(certificate ? { certificate } : {}) };
}

/**
 * The Taskcluster client that signs requests which need no signature; undefined where there is none.
 *
 * @throws UsageFault
 */
export function optionalCredentials(env: NodeJS.ProcessEnv, config: Config | undefined): ClientCredentials | undefined {
  const clientId = valueIn(env, 'TASKCLUSTER_CLIENT_ID') ?? config?.taskclusterClientId ?? undefined;
  const accessToken = valueIn(env, 'TASKCLUSTER_ACCESS_TOKEN');
  return clientId === undefined || accessToken === undefined ? undefined : credentialsIn(env, config);
}

/**
 * The value of a variable, or the content of the file that `<variable>_FILE` names.
 *
 * @throws UsageFault
 */
export function valueIn(env: NodeJS.ProcessEnv, variable: string): string | undefined {
  const faults: string[] = [];
  const value = environmentValue(env, variable, faults);
  if (faults.length > 0) throw new UsageFault(faults.join(' '));
  return value;
}
