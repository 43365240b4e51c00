import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../command.ts';

/** Ends a namespace now. */
export const releaseCommand: DefineCommand = (command, context) => {
  addClientOptions(command.argument('<namespace>', 'the namespace'))
    .description(
      'Ends a namespace now: its accounts, connections, queues and exchanges are deleted. Needs the scope pulse:namespace:<namespace>.',
    )
    .addHelpText('after', examples([['it is needed no more', 'pulse-agent release taskcluster-builds']]))
    .action(async (namespace, options) => {
      await withClient(context, options, 'signed', async (client) => {
        const result = await client.releaseNamespace(namespace, { signal: context.signal });
        context.output.print(result, () => `${namespace} is being deleted, with all that it owns.`);
      });
    });
};
