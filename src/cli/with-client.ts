import type { Command } from '@commander-js/extra-typings';
import { PulseAgentClient } from '../client/client.ts';
import type { ClientCredentials } from '../contract/signature.ts';
import { type CommandContext, UsageFault } from './command.ts';

/** What every command that asks an agent may be given. */
export interface ClientCommandOptions {
  readonly id?: string | undefined;
  readonly audience?: string | undefined;
  readonly timeout?: string | undefined;
}

/** Where a client command finds what it needs, for its help. */
export const CLIENT_ENVIRONMENT = `
Environment:
  PULSE_AGENT_URL           amqp:// or amqps:// URL for requests, with the name and password of the agent's claimant
  PULSE_AGENT_ID            as --id
  PULSE_AGENT_AUDIENCE      as --audience
  TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN, TASKCLUSTER_CERTIFICATE
                            who asks; not needed by ping, get and list`;

/** Adds the options that tell which agent is asked, and the text that tells of the environment. */
export function addClientOptions<Args extends unknown[], Options extends Record<string, unknown>>(
  command: Command<Args, Options>,
) {
  return command
    .option('--id <id>', "the agent's id (pulse-agent unless given)")
    .option('--audience <audience>', 'the audience that the agent expects (pulse-agent unless given)')
    .option('--timeout <seconds>', 'how long to wait, with all tries (30 unless given)')
    .addHelpText('after', CLIENT_ENVIRONMENT);
}

/**
 * Does some work with a client made of the options and the environment, and closes it.
 *
 * @throws UsageFault naming what is missing.
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
      "Set PULSE_AGENT_URL to the broker's address with the agent's claimant in it, or ask its operator.",
    );
  }
  const id = options.id ?? env['PULSE_AGENT_ID'];
  const audience = options.audience ?? env['PULSE_AGENT_AUDIENCE'];
  const client = new PulseAgentClient({
    url,
    ...(id === undefined ? {} : { id }),
    ...(audience === undefined ? {} : { audience }),
    ...(options.timeout === undefined ? {} : { timeoutMs: milliseconds(options.timeout) }),
    ...(signed === 'signed' ? { credentials: credentialsIn(env) } : {}),
  });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
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
  // The longest that a timer can wait.
  if (!(ms > 0 && ms < 2 ** 31)) throw new UsageFault('Give --timeout as a number of seconds, such as 10.');
  return ms;
}
