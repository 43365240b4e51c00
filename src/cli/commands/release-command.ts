import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../define-command.ts';

/** Deletes a namespace. */
export const releaseCommand: DefineCommand = (command, context) => {
  addClientOptions(command.argument('<namespace>', 'the namespace'))
    .description(
      'Deletes a namespace now, with its accounts, connections, queues and exchanges. Needs the scope pulse:namespace:<namespace>.',
    )
    .addHelpText('after', examples([['the namespace is no longer needed', 'pulse-agent release taskcluster-builds']]))
    .action(async (namespace, options) => {
      await withClient(context, options, 'signed', async (client) => {
        const result = await client.releaseNamespace(namespace, { signal: context.signal });
        context.output.print(result, () => `${namespace} is being deleted, with its accounts, queues and exchanges.`);
      });
    });
};
