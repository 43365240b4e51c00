import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { namespaceTable } from '../namespace-table.ts';

/** Shows a namespace. */
export const getCommand: DefineCommand = (command, context) => {
  addClientOptions(command.argument('<namespace>', 'the namespace'))
    .description('Shows when a namespace was created, when it expires, and its state.')
    .addHelpText(
      'after',
      examples([['when does it expire?', 'pulse-agent get taskcluster-builds --json | jq -r .expires']]),
    )
    .action(async (namespace, options) => {
      await withClient(context, options, 'unsigned', async (client) => {
        const found = await client.getNamespace(namespace, { signal: context.signal });
        context.output.print(found, (style) => namespaceTable([found], style));
      });
    });
};
