import type { AgentContext } from '../context.ts';
import { riskyChoices } from '../observe/risky-choices.ts';
import { type StartFindings, type StartReport, summarize } from '../observe/start-summary.ts';
import { VERSION } from '../version.ts';

/** Logs what has started, in one line, and what about it is risky, in one line for each choice. */
export async function reportStart(
  { config, management, store, log, instance }: AgentContext,
  { brokerEvents, httpPort }: Pick<StartFindings, 'brokerEvents' | 'httpPort'>,
): Promise<StartReport> {
  // Only the version is needed: its absence does not stop an agent that serves.
  const broker = await management.overview().catch((error: unknown) => {
    log.warn({ code: 'broker_version_unknown', err: error }, 'could not read the version of RabbitMQ');
    return undefined;
  });
  const { kind: storeKind, storeId } = store;
  const found = { version: VERSION, instance, broker, storeKind, storeId, brokerEvents, httpPort };
  const report: StartReport = {
    summary: summarize(config, found),
    risks: riskyChoices(config, { nodeEnv: process.env['NODE_ENV'], brokerEvents }),
  };
  log.info({ code: 'agent_started', ...report.summary }, 'the agent serves requests');
  for (const { choice, sentence } of report.risks) log.warn({ code: 'risky_choice', choice }, sentence);
  return report;
}
