import type { Namespace } from '../../client/client.ts';
import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../command.ts';
import { namespaceColumns } from '../namespace-text.ts';
import { table } from '../table.ts';

const PAGE_SIZE = 1000;

/** Tells about all namespaces. */
export const listCommand: DefineCommand = (command, context) => {
  const { output, signal } = context;
  addClientOptions(command)
    .description('Lists all namespaces. With --json each is a line of its own.')
    .addHelpText(
      'after',
      examples([
        ['a table', 'pulse-agent list'],
        ['the names alone', 'pulse-agent list --json | jq -r .namespace'],
      ]),
    )
    .action(async (options) => {
      await withClient(context, options, 'unsigned', async (client) => {
        const rows: Namespace[] = [];
        for await (const namespace of client.listNamespaces({ pageSize: PAGE_SIZE, signal })) {
          if (output.json) output.print(namespace, () => '');
          else rows.push(namespace);
        }
        if (output.json) return;
        output.print(rows, (style) =>
          rows.length === 0 ? 'There are no namespaces.' : table(rows, namespaceColumns(style), style),
        );
      });
    });
};
