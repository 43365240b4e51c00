import { ResourceNotFound } from '../../client/client-errors.ts';
import type { PulseAgentClient } from '../../client/client.ts';
import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { WAIT_FLAG, waitFor, waitLimitMs } from '../wait-for.ts';

/** Deletes a namespace. */
export const releaseCommand: DefineCommand = (command, context) => {
  const { output, signal } = context;
  addClientOptions(
    command
      .argument('<namespace>', 'the namespace')
      .option(WAIT_FLAG, 'wait until it is deleted, at most this long (default: 5m)'),
  )
    .description(
      'Deletes a namespace now, with its accounts, connections, queues and exchanges. Needs the scope pulse:namespace:<namespace>.',
    )
    .addHelpText(
      'after',
      examples([
        ['the namespace is no longer needed', 'pulse-agent release taskcluster-builds'],
        ['in a script that goes on when nothing is left', 'pulse-agent release taskcluster-builds --wait 10m'],
      ]),
    )
    .action(async (namespace, { wait, ...options }) => {
      const limitMs = waitLimitMs(wait);
      await withClient(context, options, 'signed', async (client) => {
        const result = await client.releaseNamespace(namespace, { signal });
        const what = `${namespace} is being deleted, with its accounts, queues and exchanges.`;
        if (limitMs === undefined) {
          output.print(result, () => what);
          return;
        }
        output.note(what);
        const late = `${namespace} is not deleted yet. The agents go on with it; "pulse-agent get ${namespace}" says what it waits for, the log lines namespace_work_failed of the agents what failed`;
        await waitFor(() => isDeleted(client, namespace, signal), { limitMs, late, signal });
        output.print({ ...result, state: 'deleted' }, () => `${namespace} is deleted.`);
      });
    });
};

/** Also when another client has claimed it again. */
async function isDeleted(client: PulseAgentClient, namespace: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await client.getNamespace(namespace, { signal })).state !== 'expiring';
  } catch (error) {
    if (error instanceof ResourceNotFound) return true;
    throw error;
  }
}
