/** What a mail to an owner is about. */
export interface OwnerMail {
  readonly kind: 'warning' | 'deletion' | 'recovery';
  /** How many queues it is about. */
  readonly count: number;
  /** Those that it names. */
  readonly queues: readonly string[];
}

const KINDS = [
  [/growing too large/, 'warning'],
  [/deleted/, 'deletion'],
  [/recovered/, 'recovery'],
] as const;

/** Reads a mail to an owner. @throws Error when it is none */
export function readOwnerMail({ subject, content }: { subject: string; content: string }): OwnerMail {
  const kind = KINDS.find(([title]) => title.test(subject))?.[1];
  if (kind === undefined) throw new Error(`This is no mail to an owner: ${subject}`);
  const queues = [...content.matchAll(/`(queue\/[^`]+)` held/g)].map(([, queue = '']) => queue);
  const [, many] = /^\[Pulse\] ([\d,]+) queues /.exec(subject) ?? [];
  return { kind, count: many === undefined ? 1 : Number(many.replaceAll(',', '')), queues };
}

/** `<kind> <queue>` for each queue that a mail names, from the first mail on. */
export function mailedChanges(mails: readonly { subject: string; content: string }[]): string[] {
  return mails.map(readOwnerMail).flatMap(({ kind, queues }) => queues.map((queue) => `${kind} ${queue}`));
}
