import type { ClaimRequest } from '../../client/client.ts';
import { claimText, claimValue } from '../claim-text.ts';
import { addClientOptions, withClient } from '../with-client.ts';
import { type DefineCommand, examples, UsageFault } from '../command.ts';
import { instantFrom } from '../instant.ts';
import { holdLease } from '../hold-lease.ts';
import { runWithLease } from '../run-with-lease.ts';

/** Claims a namespace, once or for as long as a program runs. */
export const claimCommand: DefineCommand = (command, context) => {
  const { output, signal } = context;
  addClientOptions(
    command
      .argument('<namespace>', 'the namespace')
      .argument('[command...]', 'with --keep, after --: a program that gets PULSE_CONNECTION_STRING')
      .option('--expires <time>', 'when it may be deleted: an instant, or from now such as 2h')
      .option('--contact <address>', 'the mail address that is told about overgrown queues; none: clears it')
      .option('--show-credentials', 'print the connection string, with the password')
      .option('--keep', 'claim again in time, until Ctrl-C or for as long as the program runs')
      .option('--release', 'with --keep: release the namespace at the end'),
  )
    .description(
      `Claims a namespace, or claims it again. Needs the scope pulse:namespace:<namespace>.

With --keep and a program after --, the program is run with PULSE_CONNECTION_STRING in its environment, and gets the signals that come here. The command ends when the program does, with its exit code. PULSE_CONNECTION_STRING opens connections until the instant that is told at the start; those that are open stay so.`,
    )
    .addHelpText(
      'after',
      examples([
        ['what is it, and until when?', 'pulse-agent claim taskcluster-builds'],
        [
          'into a variable',
          'url=$(pulse-agent claim taskcluster-builds --show-credentials --json | jq -r .connectionString)',
        ],
        ['for as long as a program runs', 'pulse-agent claim taskcluster-builds --keep -- node worker.js --verbose'],
      ]),
    )
    .action(async (namespace, program, { expires, contact, showCredentials = false, keep, release, ...options }) => {
      if (!keep && (program.length > 0 || release)) {
        throw new UsageFault('A program, and --release, need --keep: pulse-agent claim <namespace> --keep -- program.');
      }
      const until = (): string => instantFrom('--expires', expires ?? '', Date.now());
      if (expires !== undefined) until();
      const request: ClaimRequest = {
        namespace,
        ...(contact === undefined ? {} : { contact: contact === 'none' ? null : contact }),
      };
      await withClient(context, options, 'signed', async (client) => {
        if (!keep) {
          const expiring = expires === undefined ? request : { ...request, expires: until() };
          const claimed = await client.claimNamespace(expiring, { signal });
          output.print(claimValue(claimed, showCredentials), (style) => claimText(claimed, showCredentials, style));
          return;
        }
        const lease = await client.lease(expires === undefined ? request : { ...request, expires: until }, { signal });
        try {
          if (program.length > 0) context.exitCode = await runWithLease(lease, program, context);
          else await holdLease(lease, context, showCredentials);
        } finally {
          await lease.stop({ release: release === true });
        }
      });
    });
};
