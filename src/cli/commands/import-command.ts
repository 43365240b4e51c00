import { createReadStream } from 'node:fs';
import { importOwnStore } from '../../agent/move-store.ts';
import { loadConfig } from '../../config/config.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { isReadableAgain, STANDARD_STREAM } from '../export-files.ts';
import { summaryTable } from '../export-summary.ts';

const MARKER_TEXTS = {
  this: ['RabbitMQ is marked for this store: start the agents.'],
  none: ['RabbitMQ is marked for no store: the first agent that starts marks it.'],
  other: ['RabbitMQ is marked for another store: before you start the agents, run "pulse-agent adopt".'],
} as const;

/** Puts an export into an empty store. */
export const importCommand: DefineCommand = (command, { env, output, signal }) => {
  command
    .argument('<file>', `a file of "pulse-agent export", or ${STANDARD_STREAM} for standard input`)
    .option('--replace', 'remove what the store has; without it the store must be empty')
    .option('--without-broker', 'do not ask RabbitMQ whether an agent runs')
    .description(
      `Puts an export into the store of STORE_URL. It needs the configuration of an agent, with the same secret and id as before, and no agent may run.

The store then is the exported one: credentials stay valid, rotations come as planned, and agents start with it without "pulse-agent adopt". Everything is read back and compared. If the command does not end, agents refuse the store; run it again.`,
    )
    .addHelpText(
      'after',
      examples([
        ['into a MongoDB', 'STORE_URL=mongodb://db.example.com/ pulse-agent import /var/backups/pulse-agent.export'],
        ['back into a store that was retired', 'pulse-agent import /var/backups/pulse-agent.export --replace'],
      ]),
    )
    .action(async (file, { replace = false, withoutBroker = false }) => {
      const isStandard = file === STANDARD_STREAM;
      const config = loadConfig(env);
      const isRepeatable = !isStandard && (await isReadableAgain(file));
      let hasBegun = false;
      try {
        const { header, summary, markedFor } = await importOwnStore(
          config,
          {
            askBroker: !withoutBroker,
            onWait: () => output.note('Watching for some seconds whether an agent uses the store.'),
            open: () => (isStandard ? process.stdin : createReadStream(file)) as AsyncIterable<Buffer>,
            isRepeatable,
            replace,
            onBegin: () => (hasBegun = true),
          },
          signal,
        );
        const { storeId, exported } = header;
        output.print({ storeId, exported, marker: markedFor ?? null, collections: summary }, (style) =>
          [
            `Imported the store ${storeId}, exported on ${exported}.`,
            summaryTable(summary, style),
            ...(markedFor === undefined ? [] : MARKER_TEXTS[markedFor]),
          ].join('\n'),
        );
      } catch (error) {
        if (hasBegun) output.note('The import did not end, and agents refuse the store: run the command again.');
        throw error;
      }
    });
};
