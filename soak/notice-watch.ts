import type { Email } from '../dev/taskcluster/email.ts';
import type { RunContext } from './run-context.ts';
import { Violation } from './violation.ts';
import { pause } from './pause.ts';

/** A mail to an owner. */
export interface SeenNotice {
  readonly id: string;
  readonly kind: 'warning' | 'deletion' | 'recovery';
  readonly queue: string;
}

const EVERY_MS = 2_000;

const KINDS = {
  'a queue is growing too large': 'warning',
  'a queue was deleted': 'deletion',
  'a queue has recovered': 'recovery',
} as const;

/** Reads the mail of a notice. @throws Error when it is none */
export function readNotice({ subject, content }: Pick<Email, 'subject' | 'content'>): SeenNotice {
  const [, title = '', queue = ''] = /^\[Pulse\] (.+?): (.+)$/.exec(subject) ?? [];
  const id = /; notice `([^`]+)`\.$/.exec(content)?.[1];
  const kind = KINDS[title as keyof typeof KINDS];
  if (id === undefined || kind === undefined) throw new Error(`This is no notice: ${subject}`);
  return { id, kind, queue };
}

/** The first notice that came twice: by its id, or the same kind for one growth of a queue. */
export function repeatedNotice(notices: readonly SeenNotice[]): SeenNotice | undefined {
  const seen = new Set<string>();
  return notices.find(({ id, kind, queue }) => {
    const keys = [id, `${kind} ${queue}`];
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
    const { kind, queue, id } = repeated;
    context.report(new Violation('notices', `The ${kind} for ${queue} was mailed twice (${id}).`, [queue, id]));
    return;
  }
}

/** The queues that were deleted because they had overgrown, and whose owner got no mail about it. */
export function missingNotices(context: Pick<RunContext, 'world' | 'deletedQueues'>): string[] {
  const mailed = new Set(mailedNotices(context).flatMap(({ kind, queue }) => (kind === 'deletion' ? [queue] : [])));
  return [...context.deletedQueues].filter((queue) => !mailed.has(queue));
}
