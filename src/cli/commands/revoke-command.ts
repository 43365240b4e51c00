import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { futureTime } from '../time-options.ts';

/** Revokes all credentials of a namespace. */
export const revokeCommand: DefineCommand = (command, context) => {
  addClientOptions(
    command
      .argument('[namespace]', 'the namespace')
      .option('--until <time>', 'refuse claims until this time, or for this long, such as 2h')
      .option('--direct', 'change store and broker directly, without a request to an agent')
      .option('--all', 'revoke all namespaces, directly')
      .option('--after <name>', 'with --all: resume after this namespace')
      .option('--yes', 'with --direct or --all: confirm'),
  )
    .description(
      `Revokes all credentials of a namespace and closes their connections; its queues stay. Needs the scope pulse:revoke:<namespace>.

--direct and --all need the configuration of an agent, but no scope and no running agent. Use them when the request queue is flooded or a secret has leaked. If the store is LMDB, stop the agent first.`,
    )
    .addHelpText(
      'after',
      examples([
        ['a password leaked; the owner can claim again immediately', 'pulse-agent revoke taskcluster-builds'],
        ['refuse claims for two hours', 'pulse-agent revoke taskcluster-builds --until 2h'],
        ['no agent answers requests', 'pulse-agent revoke --direct taskcluster-builds --yes'],
        ['all credentials of all namespaces', 'pulse-agent revoke --all --yes'],
      ]),
    )
    .action(async (namespace, { until: untilText, direct, all, after, yes, ...options }) => {
      const until = untilText === undefined ? undefined : futureTime('--until', untilText, Date.now());
      if (all === true ? namespace !== undefined : namespace === undefined) {
        throw new UsageFault('Give one namespace, or --all for all namespaces.');
      }
      if (after !== undefined && all !== true) throw new UsageFault('The option --after needs --all.');
      const confirmed = { until, yes: yes ?? false };
      if (namespace === undefined) {
        // Imported only here and below: it imports the drivers of the store.
        const { revokeAllDirectly } = await import('../revoke-directly.ts');
        await revokeAllDirectly(after, confirmed, context);
        return;
      }
      const revoked = direct
        ? await (await import('../revoke-directly.ts')).revokeOneDirectly(namespace, confirmed, context)
        : await withClient(context, options, 'signed', async (client) => {
            const request = until === undefined ? {} : { until };
            return await client.revokeNamespace(namespace, { ...request, signal: context.signal });
          });
      context.output.print(revoked, () => revocationText(revoked));
    });
};

function revocationText({ namespace, revokedUntil }: { readonly namespace: string; readonly revokedUntil?: string }) {
  const claims = revokedUntil === undefined ? 'It can be claimed again.' : `Claims are refused until ${revokedUntil}.`;
  return `The credentials of ${namespace} are revoked. ${claims}`;
}
