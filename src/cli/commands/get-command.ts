import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../command.ts';
import { namespaceColumns } from '../namespace-text.ts';
import { table } from '../table.ts';

/** Tells about one namespace. */
export const getCommand: DefineCommand = (command, context) => {
  addClientOptions(command.argument('<namespace>', 'the namespace'))
    .description('Tells about one namespace.')
    .addHelpText(
      'after',
      examples([['when does it expire?', 'pulse-agent get taskcluster-builds --json | jq -r .expires']]),
    )
    .action(async (namespace, options) => {
      await withClient(context, options, 'unsigned', async (client) => {
        const found = await client.getNamespace(namespace, { signal: context.signal });
        context.output.print(found, (style) => table([found], namespaceColumns(style), style));
      });
    });
};
