import { addClientOptions, withClient } from '../client.ts';
import { type DefineCommand, examples } from '../command.ts';
import { instantFrom } from '../instant.ts';

/** Makes all credentials of a namespace useless. */
export const revoke: DefineCommand = (command, context) => {
  addClientOptions(
    command
      .argument('<namespace>', 'the namespace')
      .option('--until <time>', 'refuse claims until then: an instant, or from now such as 2h'),
  )
    .description(
      'Makes all credentials of a namespace useless and closes their connections; its queues stay. Needs the scope pulse:revoke:<namespace>.',
    )
    .addHelpText(
      'after',
      examples([
        ['a password leaked: the owner claims anew at once', 'pulse-agent revoke taskcluster-builds'],
        ['keep everybody out for two hours', 'pulse-agent revoke taskcluster-builds --until 2h'],
      ]),
    )
    .action(async (namespace, { until, ...options }) => {
      const instant = until === undefined ? {} : { until: instantFrom('--until', until, Date.now()) };
      await withClient(context, options, 'signed', async (client) => {
        const result = await client.revokeNamespace(namespace, { ...instant, signal: context.signal });
        const claims =
          result.revokedUntil === undefined
            ? 'It may be claimed anew.'
            : `Claims are refused until ${result.revokedUntil}.`;
        context.output.print(result, () => `The credentials of ${namespace} are of no use any more. ${claims}`);
      });
    });
};
