import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../util/log.ts';
import { riskyChoices } from '../observe/risky-choices.ts';
import { type StartReport, summarize } from '../observe/start-summary.ts';
import type { Store } from '../store/store.ts';
import { VERSION } from '../version.ts';

/** What {@link reportStart} works with. */
export interface StartReportSettings {
  readonly config: Config;
  readonly management: Pick<Management, 'overview'>;
  readonly store: Pick<Store, 'kind' | 'storeId'>;
  readonly log: Log;
  readonly instance: string;
  readonly brokerEvents: boolean;
  readonly httpPort: number | undefined;
}

/** Tells in the log what has started, in one record, and what is risky about it, in one more for each choice. */
export async function reportStart(settings: StartReportSettings): Promise<StartReport> {
  const { config, management, store, log, ...found } = settings;
  // Only its version is wanted: an agent that serves is not stopped for that.
  const broker = await management.overview().catch((error: unknown) => {
    log.warn({ code: 'broker_version_unknown', err: error }, 'could not read the version of RabbitMQ');
    return undefined;
  });
  const { kind: storeKind, storeId } = store;
  const report: StartReport = {
    summary: summarize(config, { ...found, version: VERSION, broker, storeKind, storeId }),
    risks: riskyChoices(config, { nodeEnv: process.env['NODE_ENV'], brokerEvents: found.brokerEvents }),
  };
  log.info({ code: 'agent_started', ...report.summary }, 'the agent serves requests');
  for (const { choice, sentence } of report.risks) log.warn({ code: 'risky_choice', choice }, sentence);
  return report;
}
