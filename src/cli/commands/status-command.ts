import { loadConfig } from '../../config/config.ts';
import { shownHosts, shownStore } from '../../observe/start-summary.ts';
import { assessInstallation } from '../../status/assess-installation.ts';
import type { InstallationState, InstallationStatus } from '../../status/installation-status.ts';
import { createInstallationReader } from '../../status/read-installation.ts';
import { type FollowedChanges, followChanges, type StatusChange } from '../../status/status-changes.ts';
import { type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { debugError } from '../explain-error.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { Style } from '../output.ts';
import { showNamespaceStatus } from '../show-namespace-status.ts';
import { changeLine, installationText, type StatusPlaces } from '../status-text.ts';
import { type ValueChange, WATCH_FLAG, watchIntervalMs, watchValue } from '../watch-values.ts';
import { addClientOptions } from '../with-client.ts';

const EXIT_CODES: Readonly<Record<InstallationState, ExitCode>> = {
  well: EXIT.ok,
  degraded: EXIT.limited,
  down: EXIT.failed,
};

/** Shows how an installation is, or, to its owner, how a namespace is. */
export const statusCommand: DefineCommand = (command, context) => {
  addClientOptions(command.argument('[namespace]', 'this namespace, for its owner; without it, the whole installation'))
    .description(
      `Shows how the installation is now: agents, broker, store, request queue, agent secrets, jobs, notices and queue alerts, and what does not work since when.

It reads the store and the broker with the configuration of an agent, and changes nothing; agents may run or not. What an agent says of itself is in the store, and at most ten seconds old. What does not answer is named, and the rest is shown.

It ends with one of: works (exit code 0), works with limits (5: it serves, and something is missing), does not work (1).

With a namespace it asks an agent, as a client that has the scope pulse:describe:<namespace> or pulse:namespace:<namespace>: state, holder, each queue with its trend, its growth and when it reaches its next threshold at that rate, alerts, and what was done lately. Growth is known from two observations only.`,
    )
    .option(
      WATCH_FLAG,
      'show it again and again, every 5s or as often as given; where standard output is no terminal, print what changes',
    )
    .addHelpText(
      'after',
      examples([
        ['is everything well?', 'pulse-agent status'],
        ['during an update of all agents', 'pulse-agent status --watch'],
        ['for an owner: how do my queues grow?', 'pulse-agent status taskcluster-builds --watch'],
        ['for a script: what is wrong', "pulse-agent status --json | jq -r '.findings[].said'"],
      ]),
    )
    .action(async (namespace, { watch, ...client }) => {
      const intervalMs = watchIntervalMs(watch);
      if (namespace !== undefined) {
        await showNamespaceStatus(context, namespace, client, intervalMs);
        return;
      }
      if (Object.keys(client).length > 0) {
        throw new UsageFault('Give a namespace: --id, --audience and --timeout are for asking an agent about one.');
      }
      const { env, output, signal } = context;
      const config = loadConfig(env);
      const places: StatusPlaces = {
        broker: shownHosts(config.rabbitmqUrl.reveal()),
        store: shownStore(config.storeUrl.reveal(), 'MongoDB'),
      };
      const reader = createInstallationReader(config);
      let followed: FollowedChanges = { facts: new Map(), changes: [] };
      const read = async (until: AbortSignal): Promise<InstallationStatus> => {
        const reading = await reader.read(until);
        for (const answer of [reading.store, reading.broker, reading.amqp]) {
          if ('error' in answer) debugError(answer.error);
        }
        const status = assessInstallation(config.id, reading, { isProduction: env['NODE_ENV'] === 'production' });
        context.exitCode = EXIT_CODES[status.state];
        followed = followChanges(followed.facts, status);
        return status;
      };
      const text = (status: InstallationStatus, style: Style): string => installationText(status, places, style);
      /** With `--json` the whole status each time. */
      const changes = (_before: unknown, status: InstallationStatus): ValueChange[] => {
        if (output.json) return [{ value: status, text: () => '' }];
        const lineOf = (change: StatusChange) => (style: Style) => changeLine(change, status.at, style);
        return followed.changes.map((change) => ({ value: change, text: lineOf(change) }));
      };
      try {
        if (intervalMs !== undefined) await watchValue(context, { intervalMs, read, text, changes });
        else {
          const status = await read(signal);
          output.print(status, (style) => text(status, style));
        }
      } finally {
        await reader.close();
      }
    });
};
