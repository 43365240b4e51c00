import type { Email } from '../dev/taskcluster/email.ts';
import type { RunContext } from './run-context.ts';
import { Violation } from './violation.ts';
import { pause } from './pause.ts';

/** A mail to an owner. */
export interface SeenNotice {
  readonly id: string;
  readonly kind: 'warning' | 'deletion' | 'recovery';
  /** The queues that it names. */
  readonly queues: readonly string[];
  /** How many more it is about. */
  readonly more: number;
}

const EVERY_MS = 2_000;

const KINDS = [
  [/^a queue is growing too large: |^[\d,]+ queues are growing too large$/, 'warning'],
  [/^a queue was deleted: |^[\d,]+ queues were deleted$/, 'deletion'],
  [/^a queue has recovered: |^[\d,]+ queues have recovered$/, 'recovery'],
] as const;

/** Reads the mail of a notice. @throws Error when it is none */
export function readNotice({ subject, content }: Pick<Email, 'subject' | 'content'>): SeenNotice {
  const title = subject.replace(/^\[Pulse\] /, '');
  const id = /; notice `([^`]+)`\.$/.exec(content)?.[1];
  const kind = KINDS.find(([form]) => form.test(title))?.[1];
  if (id === undefined || kind === undefined) throw new Error(`This is no notice: ${subject}`);
  const queues = [...content.matchAll(/`(queue\/[^`]+)` held/g)].map(([, queue = '']) => queue);
  const count = Number(/^([\d,]+) queues /.exec(title)?.[1]?.replaceAll(',', '') ?? 1);
  return { id, kind, queues, more: count - queues.length };
}

/** The first notice that came twice: by its id, or the same kind for one growth of a queue. */
export function repeatedNotice(notices: readonly SeenNotice[]): SeenNotice | undefined {
  const seen = new Set<string>();
  return notices.find(({ id, kind, queues }) => {
    const keys = [id, ...queues.map((queue) => `${kind} ${queue}`)];
    const isRepeated = keys.some((key) => seen.has(key));
    for (const key of keys) seen.add(key);
    return isRepeated;
  });
}

/** The notices that were mailed so far. */
export function mailedNotices({ world }: Pick<RunContext, 'world'>): SeenNotice[] {
  return world.taskcluster.mails.map(readNotice);
}

/** Each notice comes once. */
export async function watchNotices(context: RunContext, signal: AbortSignal): Promise<void> {
  let checked = 0;
  while (!signal.aborted) {
    await pause(EVERY_MS, signal);
    const notices = mailedNotices(context);
    for (const { kind } of notices.slice(checked)) context.figures.count(`notices mailed: ${kind}`);
    checked = notices.length;
    const repeated = repeatedNotice(notices);
    if (repeated === undefined) continue;
    const { kind, queues, id } = repeated;
    const what = `The ${kind} for one of ${queues.join(', ')} was mailed twice (${id}).`;
    context.report(new Violation('notices', what, [...queues, id]));
    return;
  }
}

/** The queues that were deleted because they had overgrown, and whose owner got no mail about it. */
export function missingNotices(context: Pick<RunContext, 'world' | 'deletedQueues'>): string[] {
  const deletions = mailedNotices(context).filter(({ kind }) => kind === 'deletion');
  const mailed = new Set(deletions.flatMap(({ queues }) => queues));
  const missing = [...context.deletedQueues].filter((queue) => !mailed.has(queue));
  // Long lists name the largest queues only, and count the rest.
  return missing.length <= deletions.reduce((sum, { more }) => sum + more, 0) ? [] : missing;
}
