import { type ExemptedQueue, openOperatorExemptions } from '../../agent/operator-exemptions.ts';
import { type Config, loadConfig } from '../../config/config.ts';
import { formatInstant } from '../../contract/fields.ts';
import { ruleOfQueue } from '../../queues/queue-limits.ts';
import type { QueueExemption } from '../../store/queue-exemption-records.ts';
import { type CommandContext, type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { EXIT } from '../exit-codes.ts';
import { table } from '../table.ts';
import { futureTime } from '../time-options.ts';

/** Exempts a queue from deletion. */
export const exemptCommand: DefineCommand = (command, context) => {
  command
    .argument('[queue]', 'the whole name of the queue')
    .option('--until <time>', 'until this time, or for this long, such as 2h')
    .option('--reason <text>', 'why, for the audit')
    .option('--end', 'end the exemption now')
    .option('--list', 'show the exemptions that hold')
    .description(
      `Keeps all agents from deleting a queue, from now until a time, however deep it grows.

Its namespace does not expire meanwhile. If it is released, its accounts and its other queues are deleted, and this queue stays; the name can be claimed again when the exemption has ended and the queue is deleted, too. Owners are warned as always, and the backstop of RabbitMQ still drops the oldest messages far above the limits.

It needs the configuration of an agent, and changes the store only, also beside an agent on LMDB. No agent has to run. For a queue that must always stay, use the setting exemptQueues.`,
    )
    .addHelpText(
      'after',
      examples([
        [
          'it grows, and its consumer is back in an hour',
          'pulse-agent exempt queue/taskcluster-builds/jobs --until 2h --reason "consumer is down"',
        ],
        ['which queues are exempt', 'pulse-agent exempt --list'],
        ['its consumer is back', 'pulse-agent exempt queue/taskcluster-builds/jobs --end'],
      ]),
    )
    .action(async (queue, { until, reason, end = false, list = false }) => {
      if (list ? queue !== undefined : queue === undefined) throw new UsageFault('Give one queue, or --list.');
      if ([until !== undefined, end, list].filter(Boolean).length !== 1) {
        throw new UsageFault('Give one of --until, --end and --list.');
      }
      const config = loadConfig(context.env);
      const untilMs = until === undefined ? 0 : untilOf(until, config);
      const exemptions = await openOperatorExemptions(config);
      try {
        if (queue === undefined) return printList(await exemptions.list(), context);
        if (end) return printEnd(queue, await exemptions.end(queue, context.signal), context);
        printExempted(await exemptions.exempt(queue, untilMs, reason, context.signal), config, context);
      } finally {
        await exemptions.close();
      }
    });
};

function untilOf(text: string, { maxLifetimeSeconds }: Pick<Config, 'maxLifetimeSeconds'>): number {
  const nowMs = Date.now();
  const untilMs = Date.parse(futureTime('--until', text, nowMs));
  const latestMs = nowMs + maxLifetimeSeconds * 1000;
  if (untilMs > nowMs && untilMs <= latestMs) return untilMs;
  throw new UsageFault(
    `Give --until as a time from now to ${formatInstant(latestMs)}. For longer, use the setting exemptQueues.`,
  );
}

function printExempted({ exemption, is }: ExemptedQueue, config: Config, context: CommandContext): void {
  if (is === 'gone') context.exitCode = EXIT.failed;
  context.output.print({ ...valueOf(exemption), is }, () => {
    const { queue } = exemption;
    if (is === 'gone') return `An agent had begun to delete ${queue} and has deleted it, with its messages.`;
    const { backstopMessages: messages, backstopBytes: bytes } = ruleOfQueue(config, queue) ?? {
      backstopMessages: config.queueBackstopMessages,
      backstopBytes: config.queueBackstopBytes,
    };
    const limits = [
      ...(messages === null ? [] : [`${messages} messages`]),
      ...(bytes === null ? [] : [`${bytes} bytes`]),
    ];
    return [
      `No agent deletes ${queue} until ${formatInstant(exemption.untilMs)}.`,
      ...(limits.length === 0 ? [] : [`RabbitMQ still drops its oldest messages beyond ${limits.join(' or ')}.`]),
      ...(is === 'unknown' ? ['RabbitMQ does not answer: check that the queue is there, and its name.'] : []),
    ].join('\n');
  });
}

function printEnd(queue: string, isEnded: boolean, { output }: CommandContext): void {
  output.print({ queue, ended: isEnded }, () =>
    isEnded
      ? `${queue} is no longer exempt: agents delete it when it is too large, or when its namespace ends.`
      : `${queue} was not exempt.`,
  );
}

function printList(exemptions: readonly QueueExemption[], { output }: CommandContext): void {
  if (output.json) {
    for (const exemption of exemptions) output.print(valueOf(exemption), () => '');
    return;
  }
  output.print(exemptions, (style) =>
    exemptions.length === 0
      ? 'No queue is exempt.'
      : table(
          exemptions,
          [
            { title: 'QUEUE', text: ({ queue }) => queue },
            { title: 'UNTIL', text: ({ untilMs }) => formatInstant(untilMs) },
            { title: 'WHY', text: ({ reason }) => reason ?? '' },
          ],
          style,
        ),
  );
}

function valueOf({ queue, namespace, untilMs, reason }: QueueExemption) {
  return { queue, namespace, until: formatInstant(untilMs), reason };
}
