import type { Command } from '@commander-js/extra-typings';
import { PulseAgentClient } from '../client/client.ts';
import { type ClientCommandOptions, clientSettings, credentialsIn, optionalCredentials } from './client-settings.ts';
import { type CommandContext, UsageFault } from './define-command.ts';

/** The environment variables of client commands, for their help. */
export const CLIENT_ENVIRONMENT = `
Environment:
  PULSE_AGENT_URL           amqp:// or amqps:// URL for requests, with the claimant's username and password; its path
                            is the vhost of the requests (without a path: the agent's id); for a cluster one URL
                            for each node, with commas between
  PULSE_AGENT_ID            same as --id
  PULSE_AGENT_AUDIENCE      same as --audience
  RABBITMQ_CA_FILE          the CA that signed the certificate of RabbitMQ, in place of those of the system;
                            RABBITMQ_CA has its content. NODE_EXTRA_CA_CERTS=<file> adds a CA to those of the system
  TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN, TASKCLUSTER_CERTIFICATE
                            the client that signs requests; ping does not need it, get and list show more with it
What these leave out comes from the configuration of an agent, if its variables are loaded: its address of RabbitMQ, the
claimant, id, audience and CA.`;

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
 * @param signed whether its requests are signed; `if-possible`: where the environment has credentials
 * @throws UsageFault when a variable is missing
 */
export async function withClient<T>(
  { env }: CommandContext,
  options: ClientCommandOptions,
  signed: 'signed' | 'unsigned' | 'if-possible',
  work: (client: PulseAgentClient, signer: string | undefined, ca: string | undefined) => Promise<T>,
): Promise<T> {
  const { url, id, audience, ca, config } = await clientSettings(env, options);
  const find = { signed: credentialsIn, 'if-possible': optionalCredentials, unsigned: () => undefined }[signed];
  const credentials = find(env, config);
  const client = new PulseAgentClient({
    url,
    ...(id ? { id } : {}),
    ...(audience ? { audience } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(options.timeout === undefined ? {} : { timeoutMs: milliseconds(options.timeout) }),
    ...(credentials === undefined ? {} : { credentials }),
  });
  try {
    return await work(client, credentials?.clientId, ca);
  } finally {
    await client.close();
  }
}

function milliseconds(seconds: string): number {
  const ms = Number(seconds) * 1000;
  // The longest timer.
  if (!(ms > 0 && ms < 2 ** 31)) throw new UsageFault('Give --timeout as a number of seconds, such as 10.');
  return ms;
}
