import type { Namespace } from '../../client/client.ts';
import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { namespaceTable } from '../namespace-table.ts';

const PAGE_SIZE = 1000;

/** Lists all namespaces. */
export const listCommand: DefineCommand = (command, context) => {
  const { output, signal } = context;
  addClientOptions(command)
    .description('Lists all namespaces; with --json one a line.')
    .addHelpText(
      'after',
      examples([
        ['as a table', 'pulse-agent list'],
        ['only the names', 'pulse-agent list --json | jq -r .namespace'],
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
        output.print(rows, (style) => (rows.length === 0 ? 'There are no namespaces.' : namespaceTable(rows, style)));
      });
    });
};
