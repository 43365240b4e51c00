import type { Command } from '@commander-js/extra-typings';
import { PulseAgentClient } from '../client/client.ts';
import { environmentValue } from '../config/environment.ts';
import { isCertificates } from '../config/setting-forms.ts';
import { parseAmqpUrl } from '../contract/url.ts';
import type { ClientCredentials } from '../contract/signature.ts';
import { type CommandContext, UsageFault } from './define-command.ts';

/** The options of every command that sends requests. */
export interface ClientCommandOptions {
  readonly id?: string | undefined;
  readonly audience?: string | undefined;
  readonly timeout?: string | undefined;
}

/** The environment variables of client commands, for their help. */
export const CLIENT_ENVIRONMENT = `
Environment:
  PULSE_AGENT_URL           amqp:// or amqps:// URL for requests, with the claimant's username and password; its path
                            is the vhost of the requests (without a path: the agent's id)
  PULSE_AGENT_ID            same as --id
  PULSE_AGENT_AUDIENCE      same as --audience
  RABBITMQ_CA_FILE          the CA that signed the certificate of RabbitMQ, in place of those of the system;
                            RABBITMQ_CA has its content. NODE_EXTRA_CA_CERTS=<file> adds a CA to those of the system
  TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN, TASKCLUSTER_CERTIFICATE
                            the client that signs requests; not needed by ping, get and list`;

/** Adds the options of {@link ClientCommandOptions}, and the variables to the help. */
export function addClientOptions<Args extends unknown[], Options extends Record<string, unknown>>(
  command: Command<Args, Options>,
) {
  return command
    .option('--id <id>', "the agent's id (default: pulse-agent)")
    .option('--audience <audience>', 'the audience that the agent expects (default: pulse-agent)')
    .option('--timeout <seconds>', 'how long to wait, including retries (default: 30)')
    .addHelpText('after', CLIENT_ENVIRONMENT);
}

/**
 * Runs `work` with a client that is configured by the options and the environment, and closes the client.
 *
 * @throws UsageFault when a variable is missing
 */
export async function withClient<T>(
  { env }: CommandContext,
  options: ClientCommandOptions,
  signed: 'signed' | 'unsigned',
  work: (client: PulseAgentClient) => Promise<T>,
): Promise<T> {
  const url = env['PULSE_AGENT_URL'];
  if (!url) {
    throw new UsageFault(
      "Set PULSE_AGENT_URL to the broker's AMQP URL with the claimant's username and password; the operator has it.",
    );
  }
  try {
    parseAmqpUrl(url);
  } catch (error) {
    throw new UsageFault(`PULSE_AGENT_URL ${(error as Error).message}.`);
  }
  const id = options.id ?? env['PULSE_AGENT_ID'];
  const audience = options.audience ?? env['PULSE_AGENT_AUDIENCE'];
  const ca = brokerCa(env);
  const client = new PulseAgentClient({
    url,
    ...(id ? { id } : {}),
    ...(audience ? { audience } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(options.timeout === undefined ? {} : { timeoutMs: milliseconds(options.timeout) }),
    ...(signed === 'signed' ? { credentials: credentialsIn(env) } : {}),
  });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/**
 * The CA certificates for RabbitMQ, in PEM; undefined: those of the system.
 *
 * @throws UsageFault
 */
export function brokerCa(env: NodeJS.ProcessEnv): string | undefined {
  const faults: string[] = [];
  const ca = environmentValue(env, 'RABBITMQ_CA', faults);
  if (faults.length > 0) throw new UsageFault(faults.join(' '));
  if (ca !== undefined && !isCertificates(ca)) {
    throw new UsageFault('RABBITMQ_CA must be certificates in PEM, and RABBITMQ_CA_FILE the path of a file with them.');
  }
  return ca;
}

function credentialsIn(env: NodeJS.ProcessEnv): ClientCredentials {
  const clientId = env['TASKCLUSTER_CLIENT_ID'];
  const accessToken = env['TASKCLUSTER_ACCESS_TOKEN'];
  const certificate = env['TASKCLUSTER_CERTIFICATE'];
  if (!clientId || !accessToken) {
    throw new UsageFault('Set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN: the request must be signed.');
  }
  return { clientId, accessToken, ...(certificate ? { certificate } : {}) };
}

function milliseconds(seconds: string): number {
  const ms = Number(seconds) * 1000;
  // The longest timer.
  if (!(ms > 0 && ms < 2 ** 31)) throw new UsageFault('Give --timeout as a number of seconds, such as 10.');
  return ms;
}
