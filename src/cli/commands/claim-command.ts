import type { Claim } from '../../contract/methods.ts';
import type { ClaimRequest } from '../../client/client.ts';
import { CredentialsFile } from '../credentials-file.ts';
import { type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { holdLease } from '../hold-lease.ts';
import type { Style } from '../output.ts';
import { publishLease } from '../publish-lease.ts';
import { readQueueLimits } from '../read-queue-limits.ts';
import { runWithLease } from '../run-with-lease.ts';
import { futureTime } from '../time-options.ts';
import { addClientOptions, withClient } from '../with-client.ts';
import { readWriteOptions } from '../write-options.ts';

/** Claims a namespace, once or for as long as a program runs. */
export const claimCommand: DefineCommand = (command, context) => {
  const { output, signal } = context;
  addClientOptions(
    command
      .argument('<namespace>', 'the namespace')
      .argument('[command...]', 'with --keep, after --: a program that gets PULSE_CONNECTION_STRING')
      .option('--expires <time>', 'when the namespace may be deleted: a time, or a duration from now such as 2h')
      .option(
        '--contact <contact>',
        'a mail address, matrix:<room id> or slack:<channel id> for notices about overgrown queues; none: removes it',
      )
      .option(
        '--queue-limits <limits>',
        'higher limits for its queues, as deleteAtMessages=40000; none: those of the rules',
      )
      .option('--show-credentials', 'print the connection string with the password')
      .option('--keep', 'claim again before the credentials expire, until Ctrl-C or while the program runs')
      .option('--release', 'with --keep: release the namespace at the end')
      .option('--write <file>', 'with --keep: keep the connection string in a file that only its owner can read')
      .option('--format <format>', 'of the file: url, env or json (default: url)')
      .option('--on-change <command>', 'a shell command to run when the file has other credentials')
      .option('--on-change-timeout <duration>', 'how long that command may take (default: 60s)')
      .option('--signal <name>', 'the signal, such as HUP, for the program when the file has other credentials')
      .option('--leave', 'leave the file at the end'),
  )
    .description(
      `Claims a namespace, or claims it again. Needs the scope pulse:namespace:<namespace>.

With --keep and a program after --, the program runs with PULSE_CONNECTION_STRING in its environment, and with PULSE_CONNECTION_STRINGS, which has the connection strings for all addresses of RabbitMQ with commas between; signals to this command are forwarded to it. The command exits when the program does, with its exit code. PULSE_CONNECTION_STRING opens connections until the time that is printed at the start; open connections stay open.

With --queue-limits, its queues may hold more than the rules of the agents say, within what these allow: warnAtMessages, deleteAtMessages, warnAtBytes and deleteAtBytes, with commas between. They hold until a claim has others, or none.

With --write, a file has the credentials from the first claim on. After each change it is replaced as a whole, and then the program gets --signal, or --on-change runs: one run at a time, and again until it succeeds or there are newer credentials. Without a program it also runs after the first claim. Programs and the command find the file in PULSE_CONNECTION_FILE. The file is removed at the end, also when the lease is lost.`,
    )
    .addHelpText(
      'after',
      examples([
        ['claim and show the expiry', 'pulse-agent claim taskcluster-builds'],
        [
          'into a variable',
          'url=$(pulse-agent claim taskcluster-builds --show-credentials --json | jq -r .connectionString)',
        ],
        [
          'with higher limits for its queues, where the operators allow them',
          'pulse-agent claim taskcluster-builds --queue-limits warnAtMessages=20000,deleteAtMessages=40000',
        ],
        ['while a program runs', 'pulse-agent claim taskcluster-builds --keep -- node worker.js --verbose'],
        [
          'for a program that reads a file again at SIGHUP',
          'pulse-agent claim taskcluster-builds --keep --write /run/builds/amqp-url --signal HUP -- ./consumer',
        ],
        [
          'for a service that systemd runs',
          "pulse-agent claim taskcluster-builds --keep --write /run/builds/amqp.env --format env --on-change 'systemctl try-restart builds'",
        ],
      ]),
    )
    .action(
      async (
        namespace,
        program,
        { expires, contact, queueLimits, showCredentials = false, keep, release, ...others },
      ) => {
        if (!keep && (program.length > 0 || release)) {
          throw new UsageFault(
            'A program, and --release, need --keep: pulse-agent claim <namespace> --keep -- program.',
          );
        }
        const { write, format, onChange, onChangeTimeout, signal: signalName, leave, ...options } = others;
        if (!keep && write !== undefined) throw new UsageFault('--write needs --keep.');
        const writing = readWriteOptions(
          { write, format, onChange, onChangeTimeout, signal: signalName, leave },
          program.length > 0,
        );
        const file = writing && new CredentialsFile(writing.path);
        const expiresAt = (): string => futureTime('--expires', expires ?? '', Date.now());
        if (expires !== undefined) expiresAt();
        const request: ClaimRequest = {
          namespace,
          ...(contact === undefined ? {} : { contact: contact === 'none' ? null : contact }),
          ...(queueLimits === undefined ? {} : { queueLimits: readQueueLimits(queueLimits) }),
        };
        await file?.check();
        await withClient(context, options, 'signed', async (client) => {
          if (!keep) {
            const expiring = expires === undefined ? request : { ...request, expires: expiresAt() };
            const claim = await client.claimNamespace(expiring, { signal });
            output.print(claimValue(claim, showCredentials), (style) => claimText(claim, showCredentials, style));
            return;
          }
          const expiring = expires === undefined ? request : { ...request, expires: expiresAt };
          const lease = await client.lease(expiring, { signal });
          const published = writing && file && publishLease(lease, file, writing, context, program.length > 0);
          try {
            if (program.length > 0) context.exitCode = await runWithLease(lease, program, context, published);
            else await holdLease(lease, context, showCredentials, published);
          } finally {
            await published?.close();
            await lease.stop({ release: release === true });
          }
        });
      },
    );
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
