import { loadConfig } from '../../config/config.ts';
import { reportQueues } from '../../plan/report-queues.ts';
import { MEASURE_GROWTH_MS } from '../../queues/measure-growth.ts';
import {
  QUEUE_ORDERS,
  type QueueOrder,
  type QueueReport,
  sortQueueReports,
  queueValue,
} from '../../queues/queue-report.ts';
import { bytesText, instantToSecond } from '../amounts.ts';
import { type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { readLimit } from '../limit-option.ts';
import type { Style } from '../output.ts';
import { nextText, perMinuteText, whenText } from '../queue-texts.ts';
import { table } from '../table.ts';
import { parseDuration } from '../time-options.ts';

/** Shows how deep queues are, how they grow, and when the agents act on them. */
export const queuesCommand: DefineCommand = (command, { env, output, signal }) => {
  command
    .argument('[namespace]', 'only the queues of this namespace')
    .description(
      `Shows how deep the queues of namespaces are, how fast they grow, since when their owners are warned, and when they reach their next threshold at the present rate.

It reads the store and the broker with the configuration of an agent, and changes nothing; no agent has to run. It lists the queues twice, because growth is known from two observations only. What RabbitMQ does not report is "unknown".`,
    )
    .option('--sort <order>', `by which to sort: ${QUEUE_ORDERS.join(', ')}`, 'messages')
    .option('--warned', 'only queues whose owners were warned')
    .option('--limit <count>', 'the number of queues, the first ones in this order', '20')
    .option('--all', 'all queues')
    .option('--over <duration>', 'how long to measure the growth; 0s: not', `${MEASURE_GROWTH_MS / 1000}s`)
    .addHelpText(
      'after',
      examples([
        ['the deepest queues', 'pulse-agent queues'],
        ['what is deleted next, if nothing happens', 'pulse-agent queues --sort next --limit 5'],
        ['one namespace', 'pulse-agent queues taskcluster-builds --all'],
        ['in a script: the warned queues', 'pulse-agent queues --warned --all --json | jq -r .queue'],
      ]),
    )
    .action(async (namespace, { sort, warned, limit: limitText, all, over }) => {
      const order = orderOf(sort);
      const limit = all === true ? Infinity : readLimit(limitText);
      const measureMs = parseDuration(over);
      if (measureMs === undefined) throw new UsageFault('Give --over as a duration such as 10s, or 0s.');
      const config = loadConfig(env);
      if (measureMs > 0) output.note(`Measuring for ${measureMs / 1000} s how fast the queues grow.`);
      const reports = await reportQueues(config, { namespace, measureMs, signal });
      const wanted = warned === true ? reports.filter(({ state }) => state === 'warned') : reports;
      const shown = sortQueueReports(wanted, order).slice(0, limit);
      if (output.json) {
        for (const report of shown) output.print(queueValue(report), () => '');
        return;
      }
      output.print(shown, (style) => queuesText(shown, wanted.length, style));
    });
};

function orderOf(text: string): QueueOrder {
  const order = QUEUE_ORDERS.find((name) => name === text);
  if (order === undefined) throw new UsageFault(`Give --sort as one of ${QUEUE_ORDERS.join(', ')}.`);
  return order;
}

function queuesText(shown: readonly QueueReport[], found: number, style: Style): string {
  if (found === 0) return 'There are no such queues.';
  const nowMs = Date.now();
  const rows = table(
    shown,
    [
      { title: 'QUEUE', text: ({ queue }) => queue },
      { title: 'MESSAGES', text: ({ messages }) => String(messages ?? 'unknown') },
      { title: 'SIZE', text: ({ bytes }) => (bytes === undefined ? 'unknown' : bytesText(bytes)) },
      { title: 'PER MINUTE', text: ({ messagesPerMinute }) => perMinuteText(messagesPerMinute) },
      {
        title: 'WARNED SINCE',
        text: ({ warnedMs }) => (warnedMs === undefined ? '' : instantToSecond(warnedMs)),
        style: (cell) => style.doubtful(cell),
      },
      {
        title: 'NEXT',
        text: nextText,
        style: (cell, { state }) => (state === 'deleting' ? style.bad(cell) : cell),
      },
      { title: 'WHEN', text: (report) => whenText(report, nowMs) },
    ],
    style,
  );
  const left = found - shown.length;
  return left === 0 ? rows : `${rows}\n\n${left} more; --all shows them.`;
}
