import type { Management } from '../broker/management/management.ts';
import type { Clock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import type { RecurringJob } from '../jobs/jobs.ts';
import type { Log } from '../util/log.ts';
import type { StoreReader } from '../store/open-store-to-read.ts';
import { planSurvey } from '../plan/plan-survey.ts';

/** What {@link dryRunSurveysJob} works with. */
export interface DryRunSurveysParts {
  readonly config: Config;
  readonly store: StoreReader;
  readonly management: Management;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Makes the job that tells what a survey would do, every `surveyIntervalSeconds`. Of each queue it is told once, and again
 * when it is something else.
 */
export function dryRunSurveysJob({ config, store, management, clock, log }: DryRunSurveysParts): RecurringJob {
  let told = new Map<string, string>();
  return {
    name: 'survey-queues',
    everyMs: config.surveyIntervalSeconds * 1000,
    async run(signal) {
      const planned = await planSurvey(config, store, management, clock.nowMs(), signal);
      for (const one of planned) {
        if (told.get(one.queue) !== one.action)
          log.info({ code: 'dry_run_queue', ...one }, 'dry run: would act on this queue');
      }
      told = new Map(planned.map(({ queue, action }) => [queue, action]));
    },
  };
}
