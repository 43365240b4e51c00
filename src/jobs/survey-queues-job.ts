import type { Survey } from '../queues/survey-queues.ts';
import type { RecurringJob } from './jobs.ts';

/** The job that looks at all queues. */
export const SURVEY_QUEUES = 'survey-queues';

/** After a survey that failed, or whose agent died, in ms. */
const AGAIN_MS = 5_000;

/**
 * Makes the job. How soon it comes again depends on how long the listing took.
 *
 * @param longestPauseMs between the starts of two surveys
 */
export function surveyQueuesJob(survey: Survey, longestPauseMs: number): RecurringJob {
  return {
    name: SURVEY_QUEUES,
    everyMs: Math.min(AGAIN_MS, longestPauseMs),
    longestMs: longestPauseMs,
    run: async (signal) => (await survey(signal)).nextAfterMs,
  };
}
