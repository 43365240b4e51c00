import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples, UsageFault } from '../command.ts';
import { instantFrom } from '../instant.ts';

/** Makes all credentials of a namespace useless. */
export const revokeCommand: DefineCommand = (command, context) => {
  addClientOptions(
    command
      .argument('[namespace]', 'the namespace')
      .option('--until <time>', 'refuse claims until then: an instant, or from now such as 2h')
      .option('--direct', 'act on store and broker as an agent, not by a request')
      .option('--all', 'revoke every namespace, directly')
      .option('--after <name>', 'with --all: go on after this namespace')
      .option('--yes', 'with --direct or --all: do it'),
  )
    .description(
      `Makes all credentials of a namespace useless and closes their connections; its queues stay. Needs the scope pulse:revoke:<namespace>.

With --direct or --all it needs no request, no scope and no running agent, but the configuration of an agent: for the day when the request queue is what is attacked, or a secret has leaked. With the store in LMDB stop the agent first.`,
    )
    .addHelpText(
      'after',
      examples([
        ['a password leaked: the owner claims anew at once', 'pulse-agent revoke taskcluster-builds'],
        ['keep everybody out for two hours', 'pulse-agent revoke taskcluster-builds --until 2h'],
        ['nobody answers requests', 'pulse-agent revoke --direct taskcluster-builds --yes'],
        ['everything that was ever handed out', 'pulse-agent revoke --all --yes'],
      ]),
    )
    .action(async (namespace, { until: untilText, direct, all, after, yes, ...options }) => {
      const until = untilText === undefined ? undefined : instantFrom('--until', untilText, Date.now());
      if (all === true ? namespace !== undefined : namespace === undefined) {
        throw new UsageFault('Name one namespace, or give --all for every one.');
      }
      if (after !== undefined && all !== true) throw new UsageFault('Give --after with --all only.');
      if (direct === true || all === true) {
        // With it come the drivers of the store.
        const { revokeWithProgress: revokeDirectly } = await import('../direct-revocation-progress.ts');
        await revokeDirectly({ namespace, until, after, yes: yes ?? false }, context);
        return;
      }
      await withClient(context, options, 'signed', async (client) => {
        const result = await client.revokeNamespace(namespace ?? '', {
          ...(until === undefined ? {} : { until }),
          signal: context.signal,
        });
        const claims =
          result.revokedUntil === undefined
            ? 'It may be claimed anew.'
            : `Claims are refused until ${result.revokedUntil}.`;
        context.output.print(result, () => `The credentials of ${namespace} are of no use any more. ${claims}`);
      });
    });
};
