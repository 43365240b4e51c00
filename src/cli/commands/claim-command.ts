import type { Claim } from '../../contract/methods.ts';
import type { ClaimRequest } from '../../client/client.ts';
import { type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { holdLease } from '../hold-lease.ts';
import type { Style } from '../output.ts';
import { runWithLease } from '../run-with-lease.ts';
import { futureTime } from '../time-options.ts';
import { addClientOptions, withClient } from '../with-client.ts';

/** Claims a namespace, once or for as long as a program runs. */
export const claimCommand: DefineCommand = (command, context) => {
  const { output, signal } = context;
  addClientOptions(
    command
      .argument('<namespace>', 'the namespace')
      .argument('[command...]', 'with --keep, after --: a program that gets PULSE_CONNECTION_STRING')
      .option('--expires <time>', 'when the namespace may be deleted: a time, or a duration from now such as 2h')
      .option('--contact <address>', 'the mail address for notices about overgrown queues; none: removes it')
      .option('--show-credentials', 'print the connection string with the password')
      .option('--keep', 'claim again before the credentials expire, until Ctrl-C or while the program runs')
      .option('--release', 'with --keep: release the namespace at the end'),
  )
    .description(
      `Claims a namespace, or claims it again. Needs the scope pulse:namespace:<namespace>.

With --keep and a program after --, the program runs with PULSE_CONNECTION_STRING in its environment, and with PULSE_CONNECTION_STRINGS, which has the connection strings for all addresses of RabbitMQ with commas between; signals to this command are forwarded to it. The command exits when the program does, with its exit code. PULSE_CONNECTION_STRING opens connections until the time that is printed at the start; open connections stay open.`,
    )
    .addHelpText(
      'after',
      examples([
        ['claim and show the expiry', 'pulse-agent claim taskcluster-builds'],
        [
          'into a variable',
          'url=$(pulse-agent claim taskcluster-builds --show-credentials --json | jq -r .connectionString)',
        ],
        ['while a program runs', 'pulse-agent claim taskcluster-builds --keep -- node worker.js --verbose'],
      ]),
    )
    .action(async (namespace, program, { expires, contact, showCredentials = false, keep, release, ...options }) => {
      if (!keep && (program.length > 0 || release)) {
        throw new UsageFault('A program, and --release, need --keep: pulse-agent claim <namespace> --keep -- program.');
      }
      const expiresAt = (): string => futureTime('--expires', expires ?? '', Date.now());
      if (expires !== undefined) expiresAt();
      const request: ClaimRequest = {
        namespace,
        ...(contact === undefined ? {} : { contact: contact === 'none' ? null : contact }),
      };
      await withClient(context, options, 'signed', async (client) => {
        if (!keep) {
          const expiring = expires === undefined ? request : { ...request, expires: expiresAt() };
          const claim = await client.claimNamespace(expiring, { signal });
          output.print(claimValue(claim, showCredentials), (style) => claimText(claim, showCredentials, style));
          return;
        }
        const expiring = expires === undefined ? request : { ...request, expires: expiresAt };
        const lease = await client.lease(expiring, { signal });
        try {
          if (program.length > 0) context.exitCode = await runWithLease(lease, program, context);
          else await holdLease(lease, context, showCredentials);
        } finally {
          await lease.stop({ release: release === true });
        }
      });
    });
};

/** The claim as JSON: with the connection string only if it was asked for. */
function claimValue(claim: Claim, showCredentials: boolean): object {
  if (showCredentials) return claim;
  const { connectionString: _one, connectionStrings: _all, ...rest } = claim;
  return rest;
}

/** The claim as text: with the password only if it was asked for. */
function claimText(claim: Claim, showCredentials: boolean, style: Style): string {
  const { connectionString, connectionStrings = [connectionString] } = claim;
  const shown = connectionStrings.map((url) => (showCredentials ? url : url.replace(/:[^:@/]+@/, ':…@')));
  const lines = [
    `${style.good('claimed')} ${claim.namespace}`,
    `  expires         ${claim.expires}`,
    `  claim again at  ${claim.reclaimAt}`,
    ...shown.map((url, index) => `  ${(index === 0 ? 'connect with' : 'or with').padEnd(14)}  ${url}`),
  ];
  if (!showCredentials) lines.push(style.quiet('  (--show-credentials prints the password)'));
  return lines.join('\n');
}
