import { makePlan } from '../../plan/plan.ts';
import { loadConfig } from '../../config/config.ts';
import { formatInstant } from '../../contract/fields.ts';
import type { Plan } from '../../plan/plan-namespaces.ts';
import type { PlannedQueue } from '../../plan/plan-queues.ts';
import type { PlannedStep } from '../../plan/plan-records.ts';
import { type DefineCommand, examples } from '../command.ts';
import { instantFrom } from '../instant.ts';
import type { Style } from '../output.ts';
import { table } from '../table.ts';

const ACTIONS: Readonly<Record<PlannedStep['action'], string>> = {
  rotate: 'rotate',
  rename: 'name another secret',
  tell: 'tell of its end',
  delete: 'delete all of it',
  recheck: 'compare accounts',
};

const QUEUE_ACTIONS: Readonly<Record<PlannedQueue['action'], string>> = {
  warn: 'warn of',
  recover: 'tell that it is small again',
  delete: 'delete',
  resume: 'go on with',
  discard: 'forget the alert of',
};

/** Says what agents would do next. */
export const planCommand: DefineCommand = (command, { env, output, signal }) => {
  command
    .description(
      `Says what the agents would do next on their own account, and why, from the same decisions, and changes nothing.

It reads the store and the broker with the configuration of an agent, whether one runs or not: which namespaces are rotated, told of and deleted within the horizon if nobody claims them again before, and what a survey of the queues and a comparison of the broker with the store would do now.`,
    )
    .option('--namespace <name>', 'of this namespace only')
    .option('--horizon <time>', 'how far to look ahead: an instant, or from now such as 30m, 12h or 7d', '1h')
    .addHelpText(
      'after',
      examples([
        ['before stopping RabbitMQ for an hour', 'pulse-agent plan --horizon 1h'],
        ['when will this one be deleted?', 'pulse-agent plan --namespace taskcluster-builds --horizon 31d'],
      ]),
    )
    .action(async ({ namespace, horizon }) => {
      const untilMs = Date.parse(instantFrom('--horizon', horizon, Date.now()));
      const made = await makePlan(loadConfig(env), { namespace, untilMs, signal });
      output.print(forScripts(made), (style) => textOf(made, style));
    });
};

function forScripts({ fromMs, untilMs, namespaces, queues, broker }: Plan) {
  return {
    from: formatInstant(fromMs),
    until: formatInstant(untilMs),
    namespaces: namespaces.map(({ atMs, ...step }) => ({ ...step, at: formatInstant(atMs) })),
    queues,
    broker,
  };
}

function textOf({ untilMs, namespaces, queues, broker }: Plan, style: Style): string {
  const parts = [
    namespaces.length === 0
      ? `Nothing to do about namespaces until ${formatInstant(untilMs)}.`
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
    ...broker.repairs.map(({ account, why }) => ({ what: 'put right', subject: account, why: why.join(', ') })),
    ...broker.connections.map(({ connection, namespace }) => ({
      what: 'close',
      subject: connection,
      why: `${namespace} has it open for too long`,
    })),
    ...broker.changes
      .filter(({ call }) => call.startsWith('delete'))
      .map(({ call, subject }) => ({ what: call, subject, why: 'it belongs to nobody that is there' })),
    ...broker.unknown.map((subject) => ({
      what: 'leave alone',
      subject,
      why: 'it is called like an account and has no record',
    })),
  ];
  parts.push(
    repairs.length === 0
      ? 'The broker is as the store says, and no queue is too large.'
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
