import { loadConfig } from '../../config/config.ts';
import { formatInstant } from '../../contract/fields.ts';
import type { AuditRecord } from '../../store/audit-records.ts';
import { openStoreToRead } from '../../store/open-store-to-read.ts';
import { readAuditRecords } from '../../store/paged-listing.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { readLimit } from '../limit-option.ts';
import { pastTime } from '../time-options.ts';
import { table } from '../table.ts';

/** Shows who did what, when and why. */
export const auditCommand: DefineCommand = (command, { env, output, signal }) => {
  command
    .description(
      'Shows the audit records: who did what, when, why, and with which outcome, the newest last. It reads the store with the configuration of an agent; no agent has to run.',
    )
    .option('--namespace <name>', 'only records of this namespace')
    .option('--since <time>', 'only records since this time, or since this long ago, such as 90m, 4h or 7d', '24h')
    .option('--until <time>', 'only records before this time, in the same form')
    .option('--limit <count>', 'the number of records, the newest ones', '1000')
    .addHelpText(
      'after',
      examples([
        ['why a password stopped working', 'pulse-agent audit --namespace taskcluster-builds --since 2h'],
        ['what operators did this week', 'pulse-agent audit --since 7d --json | jq \'select(.actor == "operator")\''],
      ]),
    )
    .action(async ({ namespace, since, until, limit }) => {
      const nowMs = Date.now();
      const query = {
        limit: readLimit(limit),
        sinceMs: pastTime('--since', since, nowMs),
        ...(until === undefined ? {} : { untilMs: pastTime('--until', until, nowMs) }),
        ...(namespace === undefined ? {} : { namespace }),
      };
      const store = await openStoreToRead(loadConfig(env).storeUrl.reveal());
      let records: AuditRecord[];
      try {
        records = await readAuditRecords(store.audit, query, signal);
      } finally {
        await store.close();
      }
      if (output.json) {
        for (const { atMs, ...record } of records) output.print({ at: formatInstant(atMs), ...record }, () => '');
        return;
      }
      output.print(records, (style) =>
        records.length === 0
          ? 'No audit records match. See --since and --namespace.'
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
