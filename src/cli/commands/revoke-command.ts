import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { futureTime } from '../time-options.ts';
import { WAIT_FLAG, waitLimitMs } from '../wait-for.ts';

/** Revokes all credentials of a namespace. */
export const revokeCommand: DefineCommand = (command, context) => {
  const { output, signal } = context;
  addClientOptions(
    command
      .argument('[namespace]', 'the namespace')
      .option('--until <time>', 'refuse claims until this time, or for this long, such as 2h')
      .option('--direct', 'change store and broker directly, without a request to an agent')
      .option('--all', 'revoke all namespaces, directly')
      .option('--after <name>', 'with --all: resume after this namespace')
      .option('--yes', 'with --direct or --all: confirm')
      .option(
        WAIT_FLAG,
        'wait until clients that had logged in before are cut off, too, at most this long (default: 5m); reads the store',
      ),
  )
    .description(
      `Revokes all credentials of a namespace and closes their connections; its queues stay. Needs the scope pulse:revoke:<namespace>.

A client that had logged in with an old password just before may open its connection afterwards. Half a minute later, with a large handshakeTimeoutSeconds more, an agent closes all connections of the namespace once more; --wait waits for that. It needs the configuration of an agent.

--direct and --all need the configuration of an agent, but no scope and no running agent. Use them when the request queue is flooded or a secret has leaked. If the store is LMDB, stop the agent first.`,
    )
    .addHelpText(
      'after',
      examples([
        ['a password leaked; the owner can claim again immediately', 'pulse-agent revoke taskcluster-builds'],
        ['and wait until no old connection can be open', 'pulse-agent revoke taskcluster-builds --wait'],
        ['refuse claims for two hours', 'pulse-agent revoke taskcluster-builds --until 2h'],
        ['no agent answers requests', 'pulse-agent revoke --direct taskcluster-builds --yes'],
        ['all credentials of all namespaces', 'pulse-agent revoke --all --yes'],
      ]),
    )
    .action(async (namespace, { until: untilText, direct, all, after, yes, wait, ...options }) => {
      const waitMs = waitLimitMs(wait);
      const until = untilText === undefined ? undefined : futureTime('--until', untilText, Date.now());
      if (all === true ? namespace !== undefined : namespace === undefined) {
        throw new UsageFault('Give one namespace, or --all for all namespaces.');
      }
      if (after !== undefined && all !== true) throw new UsageFault('The option --after needs --all.');
      if (waitMs !== undefined && namespace === undefined)
        throw new UsageFault('The option --wait needs one namespace.');
      const confirmed = { until, yes: yes ?? false, waitMs };
      if (namespace === undefined) {
        // Imported only here and below: it imports the drivers of the store.
        const { revokeAllDirectly } = await import('../revoke-directly.ts');
        await revokeAllDirectly(after, confirmed, context);
        return;
      }
      if (direct) {
        const { revokeOneDirectly } = await import('../revoke-directly.ts');
        const revoked = await revokeOneDirectly(namespace, confirmed, context);
        output.print(revoked, () => revocationText(revoked, waitMs !== undefined));
        return;
      }
      // Opened first: what is missing is reported before anything is done.
      const watch =
        waitMs === undefined ? undefined : await (await import('../await-revocation.ts')).openRevocationWatch(context);
      try {
        const revoked = await withClient(context, options, 'signed', async (client) => {
          const request = until === undefined ? {} : { until };
          return await client.revokeNamespace(namespace, { ...request, signal });
        });
        if (watch !== undefined) {
          output.note(`${revocationText(revoked)} Waiting until no old password can open a connection.`);
          await watch.untilComplete(namespace, waitMs ?? 0);
        }
        output.print(revoked, () => revocationText(revoked, watch !== undefined));
      } finally {
        await watch?.close();
      }
    });
};

function revocationText(
  { namespace, revokedUntil }: { readonly namespace: string; readonly revokedUntil?: string },
  isComplete = false,
): string {
  const connections = isComplete ? ' and none can have a connection any more' : '';
  const claims = revokedUntil === undefined ? 'It can be claimed again.' : `Claims are refused until ${revokedUntil}.`;
  return `The credentials of ${namespace} are revoked${connections}. ${claims}`;
}
