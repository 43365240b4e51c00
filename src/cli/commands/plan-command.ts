import { makePlan, type Plan } from '../../plan/plan.ts';
import { loadConfig } from '../../config/config.ts';
import { formatInstant } from '../../contract/fields.ts';
import type { PlannedQueue } from '../../plan/plan-queues.ts';
import type { PlannedStep } from '../../plan/plan-namespaces.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { futureTime } from '../time-options.ts';
import type { Style } from '../output.ts';
import { table } from '../table.ts';

const ACTIONS: Readonly<Record<PlannedStep['action'], string>> = {
  rotate: 'rotate',
  'replace-secret': 'choose another secret',
  announce: 'announce expiry',
  delete: 'delete',
  recheck: 'check accounts',
};

const QUEUE_ACTIONS: Readonly<Record<PlannedQueue['action'], string>> = {
  warn: 'warn owner',
  recover: 'clear alert',
  delete: 'delete',
  resume: 'continue',
  discard: 'drop old alert',
};

/** Shows what the agents will do next. */
export const planCommand: DefineCommand = (command, { env, output, signal }) => {
  command
    .description(
      `Shows what the agents will do next without a request, and why, and changes nothing.

It reads the store and the broker with the configuration of an agent, and makes the same decisions; no agent has to run. It shows which namespaces will be rotated, announced as expiring and deleted within the horizon unless they are claimed again, and what a survey of the queues and a reconciliation of the broker would do now.`,
    )
    .option('--namespace <name>', 'only this namespace')
    .option('--horizon <time>', 'how far to plan ahead: a time, or a duration from now such as 30m, 12h or 7d', '1h')
    .addHelpText(
      'after',
      examples([
        ['before stopping RabbitMQ for an hour', 'pulse-agent plan --horizon 1h'],
        ['when a namespace will be deleted', 'pulse-agent plan --namespace taskcluster-builds --horizon 31d'],
      ]),
    )
    .action(async ({ namespace, horizon }) => {
      const untilMs = Date.parse(futureTime('--horizon', horizon, Date.now()));
      const plan = await makePlan(loadConfig(env), { namespace, untilMs, signal });
      output.print(planValue(plan), (style) => planText(plan, style));
    });
};

function planValue({ fromMs, untilMs, namespaces, queues, broker }: Plan) {
  return {
    from: formatInstant(fromMs),
    until: formatInstant(untilMs),
    namespaces: namespaces.map(({ atMs, ...step }) => ({ ...step, at: formatInstant(atMs) })),
    queues,
    broker,
  };
}

function planText({ untilMs, namespaces, queues, broker }: Plan, style: Style): string {
  const parts = [
    namespaces.length === 0
      ? `No namespace needs work until ${formatInstant(untilMs)}.`
      : table(
          namespaces,
          [
            { title: 'AT', text: ({ atMs }) => formatInstant(atMs) },
            { title: 'NAMESPACE', text: (step) => step.namespace },
            { title: 'ACTION', text: ({ action }) => ACTIONS[action] },
            { title: 'WHY', text: ({ why }) => why },
          ],
          style,
        ),
  ];
  const repairs = [
    ...queues.map(({ queue, action, why }) => ({ what: QUEUE_ACTIONS[action], subject: queue, why })),
    ...broker.repairs.map(({ account, why }) => ({ what: 'repair', subject: account, why: why.join(', ') })),
    ...broker.connections.map(({ connection, namespace }) => ({
      what: 'close',
      subject: connection,
      why: `open for too long, by ${namespace}`,
    })),
    ...broker.changes
      .filter(({ call }) => call.startsWith('delete'))
      .map(({ call, subject }) => ({ what: call, subject, why: 'orphaned' })),
    ...broker.unknown.map((subject) => ({
      what: 'leave alone',
      subject,
      why: 'unknown account-like user',
    })),
  ];
  parts.push(
    repairs.length === 0
      ? 'No drift on the broker, and no queue exceeds its threshold.'
      : table(
          repairs,
          [
            { title: 'NOW', text: ({ what }) => what },
            { title: 'WHAT', text: ({ subject }) => subject },
            { title: 'WHY', text: ({ why }) => why },
          ],
          style,
        ),
  );
  return parts.join('\n\n');
}
