import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../command.ts';

/** Asks an agent for a sign of life. */
export const pingCommand: DefineCommand = (command, context) => {
  addClientOptions(command)
    .description('Asks an agent for a sign of life, over the broker.')
    .addHelpText('after', examples([['wait five seconds at most', 'pulse-agent ping --timeout 5']]))
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
