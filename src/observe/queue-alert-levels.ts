import { QUEUE_ALERT_LEVELS, type QueueAlertLevel, type QueueAlertStore } from '../store/queue-alert-records.ts';

const PAGE = 1000;
/** More queues than this have never grown too large at once without somebody knowing. */
const MOST_PAGES = 10;

/** How many queues are at each level, of the first ten thousand. */
export async function countByLevel(alerts: Pick<QueueAlertStore, 'list'>): Promise<Record<QueueAlertLevel, number>> {
  const counts = Object.fromEntries(QUEUE_ALERT_LEVELS.map((level) => [level, 0])) as Record<QueueAlertLevel, number>;
  let after: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const found = await alerts.list({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    for (const { level } of found) counts[level] += 1;
    after = found.at(-1)?.queue;
    if (found.length < PAGE) break;
  }
  return counts;
}
