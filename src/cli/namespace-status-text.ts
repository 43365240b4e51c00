import type { NamespaceDescription } from '../client/client.ts';
import { bytesText, instantToSecond } from './amounts.ts';
import type { Style } from './output.ts';
import { amountsText, perMinuteText, reachedText, ruleText, thresholdText } from './queue-texts.ts';
import type { QueueTrends } from './queue-trends.ts';
import { sparkline } from './sparkline.ts';
import { printable, table } from './table.ts';
import type { ValueChange } from './watch-values.ts';

type DescribedQueue = NonNullable<NamespaceDescription['queues']>[number];
type DescribedAlert = NamespaceDescription['alerts'][number];
type DescribedAction = NamespaceDescription['audit'][number];

const STATE_STYLES: Readonly<Record<string, 'good' | 'doubtful' | 'bad'>> = {
  active: 'good',
  provisioning: 'doubtful',
  expiring: 'bad',
  warned: 'doubtful',
  deleting: 'bad',
};

/** A namespace as its owner sees it. */
export function namespaceStatusText(description: NamespaceDescription, trends: QueueTrends, style: Style): string {
  const { namespace, state, queues, moreQueues, alerts, audit, observedAt } = description;
  const at = observedAt?.at(-1);
  const parts = [
    `${style.heading(printable(namespace))} is ${styled(state, state, style)}${at === undefined ? '' : style.quiet(` at ${at}`)}`,
    factLines(description, style).join('\n'),
    queues === undefined
      ? 'RabbitMQ did not answer in time: the queues are unknown.'
      : queues.length === 0
        ? 'It has no queues.'
        : queueTable(queues, trends, Date.parse(at ?? ''), style),
    moreQueues === true ? 'It has more queues; these are the deepest.' : '',
    alerts.length === 0 ? '' : alertTable(alerts, style),
    audit.length === 0 ? '' : auditTable(audit, style),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** For a watch without a terminal: a line for each queue that has changed, and for each new audit record. */
export function namespaceChanges(
  before: NamespaceDescription | undefined,
  description: NamespaceDescription,
): ValueChange[] {
  const at = description.observedAt?.at(-1) ?? '';
  const known = new Map((before?.queues ?? []).map((queue) => [queue.queue, queue]));
  const queues = (description.queues ?? []).flatMap((queue): ValueChange[] => {
    const was = known.get(queue.queue);
    known.delete(queue.queue);
    if (was?.messages === queue.messages && was?.state === queue.state) return [];
    return [{ value: queue, text: (style) => `${style.quiet(at)} ${queueLine(queue, Date.parse(at))}` }];
  });
  const gone = description.queues === undefined ? [] : [...known.keys()];
  const newest = before?.audit[0]?.at ?? '';
  return [
    ...queues,
    ...gone.map((queue) => ({
      value: queue,
      text: () => `${at} ${printable(queue)}: gone, or less deep than 100 others`,
    })),
    ...description.audit
      .filter((record) => record.at > newest)
      .toReversed()
      .map((record) => ({ value: record, text: () => `${record.at} ${actionText(record)}` })),
  ];
}

function styled(text: string, state: string, style: Style): string {
  const name = STATE_STYLES[state];
  return name === undefined ? text : style[name](text);
}

function factLines(description: NamespaceDescription, style: Style): string[] {
  const { holder, created, lastClaim, expires, nextRotation, refusedUntil, blockedBy, connections, queueLimits } =
    description;
  const rows: [string, string | undefined][] = [
    ['holder', holder],
    ['created', created],
    ['last claim', lastClaim ?? 'unknown'],
    ['expires', expires],
    ['next rotation', nextRotation],
    ['refused until', refusedUntil],
    ['waits for', blockedBy],
    ['connections', String(connections ?? 'unknown')],
    [
      'queue limits',
      queueLimits &&
        Object.entries(queueLimits)
          .map((limit) => limit.join('='))
          .join(', '),
    ],
  ];
  return rows.flatMap(([name, text]) =>
    text === undefined ? [] : [`${style.heading(name.padEnd('next rotation'.length))}  ${printable(text)}`],
  );
}

function queueTable(queues: readonly DescribedQueue[], trends: QueueTrends, nowMs: number, style: Style): string {
  return table(
    queues,
    [
      { title: 'QUEUE', text: ({ queue }) => queue },
      { title: 'STATE', text: ({ state }) => state, style: (cell, { state }) => styled(cell, state, style) },
      { title: 'READY', text: ({ ready }) => String(ready ?? 'unknown') },
      { title: 'UNACKED', text: ({ unacknowledged }) => String(unacknowledged ?? 'unknown') },
      { title: 'SIZE', text: ({ bytes }) => (bytes === undefined ? 'unknown' : bytesText(bytes)) },
      { title: 'CONSUMERS', text: ({ consumers }) => String(consumers ?? 'unknown') },
      { title: 'TREND', text: ({ queue }) => sparkline(trends.of(queue)) },
      { title: 'PER MINUTE', text: ({ messagesPerMinute }) => perMinuteText(messagesPerMinute) },
      { title: 'NEXT', text: (queue) => nextText(queue) },
      { title: 'WHEN', text: (queue) => whenText(queue, nowMs) },
    ],
    style,
  );
}

function nextText({ next, exemptUntil, rule }: DescribedQueue): string {
  if (next !== undefined) return `${thresholdText(next)}${ruleText(rule)}`;
  return exemptUntil === undefined ? '' : `exempt until ${instantToSecond(Date.parse(exemptUntil))}`;
}

function whenText({ next }: DescribedQueue, nowMs: number): string {
  if (next === undefined) return '';
  const { reachedAt } = next;
  return reachedText(typeof reachedAt === 'string' ? Date.parse(reachedAt) : reachedAt, nowMs);
}

function queueLine(queue: DescribedQueue, nowMs: number): string {
  const { queue: name, messages, messagesPerMinute, state } = queue;
  const depth = amountsText({ messages, bytes: undefined });
  const rate = messagesPerMinute === undefined ? '' : `, ${perMinuteText(messagesPerMinute)} a minute`;
  const next = queue.next === undefined ? '' : `; ${nextText(queue)}: ${whenText(queue, nowMs)}`;
  return `${printable(name)} is ${state}: ${depth}${rate}${next}`;
}

function alertTable(alerts: readonly DescribedAlert[], style: Style): string {
  return table(
    alerts,
    [
      { title: 'ALERT', text: ({ queue }) => queue },
      { title: 'STATE', text: ({ state }) => state, style: (cell, { state }) => styled(cell, state, style) },
      { title: 'SINCE', text: ({ since }) => instantToSecond(Date.parse(since)) },
      { title: 'MESSAGES THEN', text: ({ messages }) => String(messages) },
    ],
    style,
  );
}

function auditTable(audit: readonly DescribedAction[], style: Style): string {
  return table(
    audit,
    [
      { title: 'DONE AT', text: ({ at }) => instantToSecond(Date.parse(at)) },
      { title: 'BY', text: ({ by, clientId }) => clientId ?? by },
      { title: 'DID', text: ({ action }) => action },
      { title: 'TO', text: ({ subject }) => subject ?? '' },
      { title: 'OUTCOME', text: ({ outcome }) => outcome },
      { title: 'WHY', text: ({ reason }) => reason ?? '' },
    ],
    style,
  );
}

function actionText({ by, clientId, action, subject, outcome, reason }: DescribedAction): string {
  const about = subject === undefined ? '' : ` of ${subject}`;
  return printable(`${clientId ?? by}: ${action}${about}, ${outcome}${reason === undefined ? '' : ` (${reason})`}`);
}
