import { loadConfig } from '../../config/config.ts';
import { formatInstant } from '../../contract/fields.ts';
import type { AuditRecord } from '../../store/audit-records.ts';
import { openStoreToRead } from '../../store/open-store-to-read.ts';
import { type DefineCommand, examples, UsageFault } from '../command.ts';
import { pastInstantFrom } from '../instant.ts';
import { table } from '../table.ts';

/** So many are read at once. */
const PAGE = 500;

/** Shows who did what, when and why. */
export const auditCommand: DefineCommand = (command, { env, output, signal }) => {
  command
    .description(
      'Shows every decision that had an effect: who did what, when, why, and what became of it, the newest last. It reads the store with the configuration of an agent, whether one runs or not.',
    )
    .option('--namespace <name>', 'of this namespace only')
    .option('--since <time>', 'from then on: an instant, or so long ago such as 90m, 4h or 7d', '24h')
    .option('--until <time>', 'before then, in the same form')
    .option('--limit <count>', 'the newest, at most so many', '1000')
    .addHelpText(
      'after',
      examples([
        ['why does this password not work?', 'pulse-agent audit --namespace taskcluster-builds --since 2h'],
        ['what operators did this week', 'pulse-agent audit --since 7d --json | jq \'select(.actor == "operator")\''],
      ]),
    )
    .action(async ({ namespace, since, until, limit: limitText }) => {
      const nowMs = Date.now();
      const limit = Number(limitText);
      if (!Number.isInteger(limit) || limit < 1) throw new UsageFault('Give --limit as a number from 1 on.');
      const span = {
        sinceMs: pastInstantFrom('--since', since, nowMs),
        ...(until === undefined ? {} : { untilMs: pastInstantFrom('--until', until, nowMs) }),
        ...(namespace === undefined ? {} : { namespace }),
      };
      const store = await openStoreToRead(loadConfig(env).storeUrl.reveal());
      const records: AuditRecord[] = [];
      try {
        for (let before: AuditRecord | undefined; records.length < limit; ) {
          signal.throwIfAborted();
          const wanted = Math.min(PAGE, limit - records.length);
          const page = await store.audit.list({ ...span, limit: wanted, ...(before === undefined ? {} : { before }) });
          // Each page is in the order of time, and older than the one before it.
          records.unshift(...page);
          before = page[0];
          if (page.length < wanted) break;
        }
      } finally {
        await store.close();
      }
      if (output.json) {
        for (const { atMs, ...record } of records) output.print({ at: formatInstant(atMs), ...record }, () => '');
        return;
      }
      output.print(records, (style) =>
        records.length === 0
          ? 'Nothing is written down there. See --since and --namespace.'
          : table(
              records,
              [
                { title: 'AT', text: ({ atMs }) => formatInstant(atMs) },
                { title: 'WHO', text: ({ actor, actorName }) => `${actor} ${actorName}` },
                { title: 'DID', text: ({ action }) => action },
                { title: 'TO', text: (record) => record.subject ?? record.namespace ?? '' },
                { title: 'OUTCOME', text: ({ outcome }) => outcome },
                { title: 'WHY', text: ({ reason }) => reason },
              ],
              style,
            ),
      );
    });
};
