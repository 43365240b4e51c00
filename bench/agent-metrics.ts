/**
 * How long an agent's runs of a job took together, in seconds, from the text of its metrics; 0 before the first run.
 *
 * @param name such as `rotate-namespaces`
 */
export function jobSecondsOf(metrics: string, name: string): number {
  const line = new RegExp(`^pulse_agent_job_duration_seconds_sum\\{[^}]*job_name="${name}"[^}]*\\} (\\S+)$`, 'gm');
  return [...metrics.matchAll(line)].reduce((sum, [, seconds]) => sum + Number(seconds), 0);
}

/** How many calls an agent has made of each part, from the text of its metrics, such as `management PUT`. */
export function countsOf(metrics: string): Record<string, number> {
  const counts: Record<string, number> = {};
  const lines = metrics.matchAll(
    /^pulse_agent_(auth|management|store)_duration_seconds_count(?:\{([^}]*)\})? (\S+)$/gm,
  );
  for (const [, part, labels = '', value] of lines) {
    const name = [part, ...[...labels.matchAll(/="([^"]*)"/g)].map(([, label]) => label)].join(' ');
    counts[name] = (counts[name] ?? 0) + Number(value);
  }
  return counts;
}

/** When a job of an agent last succeeded, in ms since the epoch, from the text of its metrics; undefined: not yet. */
export function lastSuccessMsOf(metrics: string, name: string): number | undefined {
  const line = new RegExp(`^pulse_agent_job_last_success_timestamp_seconds\\{job_name="${name}"\\} (\\S+)$`, 'm');
  const seconds = line.exec(metrics)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
