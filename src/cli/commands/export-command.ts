import { exportOwnStore } from '../../agent/move-store.ts';
import { loadConfig } from '../../config/config.ts';
import { type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { STANDARD_STREAM, writePrivateFile, writeToStandardOutput } from '../export-files.ts';
import { summaryTable } from '../export-summary.ts';

/** Writes all that a store has to a file. */
export const exportCommand: DefineCommand = (command, { env, output, signal }) => {
  command
    .argument('<file>', `a file that does not exist yet, or ${STANDARD_STREAM} for standard output`)
    .option('--retire', 'keep agents from using this store afterwards: another one takes its place')
    .option('--without-broker', 'do not ask RabbitMQ whether an agent runs')
    .description(
      `Writes all that the store has to a file, for "pulse-agent import" into another store, of the same kind or the other. It needs the configuration of an agent, and no agent may run.

The file has namespaces with their tombstones, alerts, notices, used signatures and the audit, and with them mail addresses of owners; no secret. Only its owner can read it. It is read back from the store and compared before the command ends.`,
    )
    .addHelpText(
      'after',
      examples([
        ['move to another store', 'pulse-agent export /var/backups/pulse-agent.export --retire'],
        [
          'from one store to another without a file',
          'pulse-agent export - | STORE_URL=mongodb://db.example.com/ pulse-agent import -',
        ],
      ]),
    )
    .action(async (file, { retire = false, withoutBroker = false }) => {
      const isStandard = file === STANDARD_STREAM;
      if (isStandard && retire) {
        throw new UsageFault('The option --retire needs a file: only with that can the store be used again.');
      }
      const { storeId, summary } = await exportOwnStore(
        loadConfig(env),
        {
          askBroker: !withoutBroker,
          onWait: () => output.note('Watching for some seconds whether an agent uses the store.'),
          write: (chunks) => (isStandard ? writeToStandardOutput(chunks) : writePrivateFile(file, chunks)),
          retire,
        },
        signal,
      );
      if (isStandard) {
        output.note(`Exported the store ${storeId}.`);
        return;
      }
      output.print({ file, storeId, retired: retire, collections: summary }, (style) =>
        [
          `Exported the store ${storeId} to ${file}.`,
          ...(retire ? ['It is retired: no agent starts with it any more.'] : []),
          summaryTable(summary, style),
        ].join('\n'),
      );
    });
};
