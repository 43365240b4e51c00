import { makePlan, type Plan } from '../../plan/plan.ts';
import { loadConfig } from '../../config/config.ts';
import { formatInstant } from '../../contract/fields.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { futureTime } from '../time-options.ts';
import { planText } from '../plan-text.ts';
import { queueValue } from '../../queues/queue-report.ts';

/** Shows what the agents will do next. */
export const planCommand: DefineCommand = (command, { env, output, signal }) => {
  command
    .description(
      `Shows what the agents will do next without a request, and why, and changes nothing.

It reads the store and the broker with the configuration of an agent, and makes the same decisions; no agent has to run. It shows which namespaces will be rotated, announced as expiring and deleted within the horizon unless they are claimed again, what a survey of the queues and a reconciliation of the broker would do now, and when queues whose owners are warned are deleted at their present rate, which takes 10 s to measure. Steps of one kind are grouped; --all lists each.`,
    )
    .option('--namespace <name>', 'only this namespace')
    .option('--horizon <time>', 'how far to plan ahead: a time, or a duration from now such as 30m, 12h or 7d', '1h')
    .option('--all', 'list every step; --json always does')
    .addHelpText(
      'after',
      examples([
        ['before stopping RabbitMQ for an hour', 'pulse-agent plan --horizon 1h'],
        ['when a namespace will be deleted', 'pulse-agent plan --namespace taskcluster-builds --horizon 31d'],
      ]),
    )
    .action(async ({ namespace, horizon, all }) => {
      const untilMs = Date.parse(futureTime('--horizon', horizon, Date.now()));
      const plan = await makePlan(loadConfig(env), {
        namespace,
        untilMs,
        signal,
        onMeasuring: (queues, overMs) =>
          output.note(`Measuring for ${overMs / 1000} s how fast the queues with an alert grow: ${queues}.`),
      });
      output.print(planValue(plan), (style) => planText(plan, all === true, style));
    });
};

function planValue({ fromMs, untilMs, namespaces, queues, warned, exemptions, broker }: Plan) {
  return {
    from: formatInstant(fromMs),
    until: formatInstant(untilMs),
    namespaces: namespaces.map(({ atMs, ...step }) => ({ ...step, at: formatInstant(atMs) })),
    queues,
    warned: warned.map(queueValue),
    exemptions: exemptions.map(({ queue, namespace, untilMs: until, reason }) => ({
      queue,
      namespace,
      until: formatInstant(until),
      reason,
    })),
    broker,
  };
}
