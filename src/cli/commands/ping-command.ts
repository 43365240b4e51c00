import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../define-command.ts';

/** Checks that an agent is alive. */
export const pingCommand: DefineCommand = (command, context) => {
  addClientOptions(command)
    .description(
      'Sends a request to an agent over the broker, and waits for its reply. Needs no Taskcluster credentials.',
    )
    .addHelpText('after', examples([['wait for 5 seconds at most', 'pulse-agent ping --timeout 5']]))
    .action(async (options) => {
      await withClient(context, options, 'unsigned', async (client) => {
        const startedMs = performance.now();
        const result = await client.ping({ signal: context.signal });
        const tookMs = Math.round(performance.now() - startedMs);
        context.output.print(
          { ...result, tookMs },
          ({ good }) =>
            `${good('alive')}: ${result.agent} ${result.version}, up for ${Math.round(result.uptimeSeconds)} s, answered in ${tookMs} ms`,
        );
      });
    });
};
