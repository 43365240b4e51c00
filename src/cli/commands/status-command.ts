import { loadConfig } from '../../config/config.ts';
import { shownHosts, shownStore } from '../../observe/start-summary.ts';
import { assessInstallation } from '../../status/assess-installation.ts';
import type { InstallationState, InstallationStatus } from '../../status/installation-status.ts';
import { createInstallationReader } from '../../status/read-installation.ts';
import { followChanges, type StatusFacts } from '../../status/status-changes.ts';
import { systemSleep } from '../../util/clock.ts';
import { type CommandContext, type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { debugError } from '../explain-error.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { changeLine, installationText, type StatusPlaces } from '../status-text.ts';
import { parseDuration } from '../time-options.ts';

const EXIT_CODES: Readonly<Record<InstallationState, ExitCode>> = {
  well: EXIT.ok,
  degraded: EXIT.limited,
  down: EXIT.failed,
};

/** The pause of `--watch` without a duration, and the shortest one, in ms. */
const WATCH_EVERY_MS = 2_000;
const SHORTEST_PAUSE_MS = 1_000;

/** Shows how an installation is. */
export const statusCommand: DefineCommand = (command, context) => {
  command
    .description(
      `Shows how the installation is now: agents, broker, store, request queue, agent secrets, jobs, notices and queue alerts, and what does not work since when.

It reads the store and the broker with the configuration of an agent, and changes nothing; agents may run or not. What an agent says of itself is in the store, and at most ten seconds old. What does not answer is named, and the rest is shown.

It ends with one of: works (exit code 0), works with limits (5: it serves, and something is missing), does not work (1).`,
    )
    .option(
      '--watch [duration]',
      'show it again and again, every 2s or as often as given; where standard output is no terminal, print what changes',
    )
    .addHelpText(
      'after',
      examples([
        ['is everything well?', 'pulse-agent status'],
        ['during an update of all agents', 'pulse-agent status --watch'],
        ['for a script: what is wrong', "pulse-agent status --json | jq -r '.findings[].said'"],
      ]),
    )
    .action(async ({ watch }) => {
      const everyMs = watchPauseMs(watch);
      const config = loadConfig(context.env);
      const storeUrl = config.storeUrl.reveal();
      const places: StatusPlaces = {
        broker: shownHosts(config.rabbitmqUrl.reveal()),
        store: shownStore(storeUrl, 'MongoDB'),
      };
      const reader = createInstallationReader(config);
      const read = async (): Promise<InstallationStatus> => {
        const reading = await reader.read(context.signal);
        for (const answer of [reading.store, reading.broker, reading.amqp])
          if ('error' in answer) debugError(answer.error);
        const status = assessInstallation(config.id, reading);
        context.exitCode = EXIT_CODES[status.state];
        return status;
      };
      try {
        if (everyMs === undefined) {
          const status = await read();
          context.output.print(status, (style) => installationText(status, places, style));
        } else await watchStatus(context, { read, places, everyMs });
      } finally {
        await reader.close();
      }
    });
};

function watchPauseMs(watch: string | true | undefined): number | undefined {
  if (watch === undefined) return undefined;
  const pauseMs = watch === true ? WATCH_EVERY_MS : parseDuration(watch);
  if (pauseMs === undefined || pauseMs < SHORTEST_PAUSE_MS) {
    throw new UsageFault('Give --watch alone, or with a duration of at least 1s, such as 10s.');
  }
  return pauseMs;
}

interface StatusWatch {
  readonly read: () => Promise<InstallationStatus>;
  readonly places: StatusPlaces;
  readonly everyMs: number;
}

/** Until the signal aborts: on a terminal the whole status, with `--json` a document each time, else what changes. */
async function watchStatus({ output, signal }: CommandContext, { read, places, everyMs }: StatusWatch): Promise<void> {
  const screen = output.screen();
  let facts: StatusFacts | undefined;
  const show = (status: InstallationStatus): void => {
    if (screen !== undefined) return screen.draw(installationText(status, places, output.style));
    const followed = followChanges(facts ?? new Map(), status);
    const isFirst = facts === undefined;
    facts = followed.facts;
    if (output.json || isFirst) output.print(status, (style) => installationText(status, places, style));
    else for (const change of followed.changes) output.print(change, (style) => changeLine(change, status.at, style));
  };
  try {
    for (;;) {
      show(await read());
      await systemSleep(everyMs, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    screen?.close();
  }
}
