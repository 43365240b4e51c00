import type { Management } from '../broker/management.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { RecurringJob } from '../jobs/job.ts';
import { SURVEY_QUEUES } from '../jobs/survey-queues.ts';
import type { Log } from '../log.ts';
import type { StoreReader } from '../store/read-only.ts';
import { planSurvey } from './plan-survey.ts';

/** What {@link rehearseSurveysJob} works with. */
export interface RehearsedSurveyParts {
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
export function rehearseSurveysJob({ config, store, management, clock, log }: RehearsedSurveyParts): RecurringJob {
  let told = new Map<string, string>();
  return {
    name: SURVEY_QUEUES,
    everyMs: config.surveyIntervalSeconds * 1000,
    async run(signal) {
      const planned = await planSurvey(config, store, management, clock.nowMs(), signal);
      for (const one of planned) {
        if (told.get(one.queue) !== one.action) log.info(one, 'dry run: this would be done about a queue');
      }
      told = new Map(planned.map(({ queue, action }) => [queue, action]));
    },
  };
}
