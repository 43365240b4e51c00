import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { namespaceText } from '../namespace-columns.ts';
import { readNamespacesFor } from '../read-details.ts';

/** Shows a namespace. */
export const getCommand: DefineCommand = (command, context) => {
  const { output, signal } = context;
  addClientOptions(command.argument('<namespace>', 'the namespace'))
    .description(
      'Shows when a namespace was created, when it expires, and its state. A client with the scope pulse:describe:<namespace> or pulse:namespace:<namespace> also sees who holds it, the last claim, the next rotation, and how many queues, messages and connections it has.',
    )
    .addHelpText(
      'after',
      examples([
        ['when does it expire?', 'pulse-agent get taskcluster-builds --json | jq -r .expires'],
        ['who holds it?', 'pulse-agent get taskcluster-builds --json | jq -r .details.holder'],
      ]),
    )
    .action(async (namespace, options) => {
      await withClient(context, options, 'if-possible', async (client, signer) => {
        const { namespaces, isSigned, missing } = await readNamespacesFor(
          client,
          signer,
          signal,
          async (reader, readOptions) => [await reader.getNamespace(namespace, readOptions)],
        );
        for (const found of namespaces) output.print(found, (style) => namespaceText(found, isSigned, style));
        if (missing !== undefined) output.note(missing);
      });
    });
};
