import * as z from 'zod';
import { instantText } from '../contract/fields.ts';
import { at, count, instanceText, text } from './field-schemas.ts';

export const agentState = z.enum(['ready', 'degraded', 'not-ready', 'starting', 'stopping', 'lost', 'replaced']).meta({
  description:
    'ready, degraded, not-ready, stopping: as the agent says; starting: it was never ready; lost: not seen for 45 s; replaced: lost, and another agent has started since.',
  examples: ['ready'],
});

/** The agent that answers. */
const answeringAgent = z
  .strictObject({
    id: text('The id of the agents of the installation.', 'pulse-agent'),
    instance: instanceText,
    version: text('Its version.', '1.0.0'),
  })
  .meta({ description: 'The agent that answers.' });

export const agentRow = z.strictObject({
  instance: instanceText,
  version: text('Its version.', '1.0.0'),
  state: agentState,
  started: instantText('When it started.'),
  seen: instantText('When it was seen last: all else is of then.'),
});

export const findingView = z.strictObject({
  level: z.enum(['down', 'degraded']).meta({ description: 'down: it serves no requests.', examples: ['degraded'] }),
  about: text('What it is about: a part, or agents, request-queue, secrets, job and so on.', 'broker-events'),
  since: instantText('Since when. Absent: unknown.').exactOptional(),
  said: text('What is so, as a clause.', 'no broker events arrive'),
  remedy: text('What to do, as a sentence. Absent: what is said names it.', 'Find why in the log.').exactOptional(),
  agents: z.array(instanceText).meta({ description: 'The agents that it is about; empty: none, or all.' }),
});

const jobView = z.strictObject({
  job: text('The recurring job.', 'survey-queues'),
  everySeconds: z.number().meta({ description: 'The longest pause between two runs, in s.', examples: [60] }),
  succeeded: instantText('When a run last succeeded, on any agent. Absent: unknown.').exactOptional(),
  failed: instantText('When a run last failed. Absent: none did, as far as is known.').exactOptional(),
  error: text('The code of that failure.', 'BrokerUnavailable').exactOptional(),
  outcome: z
    .enum(['ok', 'failed'])
    .meta({ description: 'That of the latest run. Absent: unknown.', examples: ['ok'] })
    .exactOptional(),
  seconds: z
    .number()
    .nonnegative()
    .meta({ description: 'How long the latest run took, in s.', examples: [0.4] })
    .exactOptional(),
  by: instanceText.meta({ description: 'The agent of the latest run.' }).exactOptional(),
  dueBy: instantText('By when it runs again. Absent: unknown.').exactOptional(),
  isLate: z.boolean().meta({ description: 'Whether it should have succeeded again by now.', examples: [false] }),
});

export const overviewAnswer = z.strictObject({
  at,
  agent: answeringAgent,
  state: z.enum(['well', 'degraded', 'down']).meta({
    description: 'well: it serves; degraded: it serves, and something is missing; down: it serves no requests.',
    examples: ['well'],
  }),
  agents: z
    .array(agentRow)
    .meta({ description: 'All agents, the latest first. Absent: the store does not answer.' })
    .exactOptional(),
  broker: z
    .strictObject({
      answers: z.boolean().meta({ description: 'Whether the management API answers.', examples: [true] }),
      version: text('The version of RabbitMQ.', '4.0.5').exactOptional(),
      cluster: text('The name of the cluster.', 'rabbit@a').exactOptional(),
      state: z.enum(['whole', 'incomplete', 'split', 'restoring', 'unknown']).meta({
        description: 'The cluster, as this agent sees it.',
        examples: ['whole'],
      }),
      running: z.array(text('A node.', 'rabbit@a')).exactOptional(),
      missing: z.array(text('A node that does not run.', 'rabbit@b')).exactOptional(),
      alarms: z
        .array(z.strictObject({ alarm: text('memory or disk.', 'memory'), node: text('The node.', 'rabbit@a') }))
        .exactOptional(),
    })
    .meta({ description: 'RabbitMQ.' }),
  store: z
    .strictObject({
      kind: z.enum(['mongodb', 'lmdb']).meta({ description: 'The kind of store.', examples: ['mongodb'] }),
      answers: z.boolean().meta({ description: 'Whether it answers.', examples: [true] }),
    })
    .meta({ description: 'The store.' }),
  findings: z.array(findingView).meta({ description: 'What an operator should know, the worst first.' }),
  namespaces: z
    .strictObject({
      provisioning: count('In this state.', 0),
      active: count('In this state.', 412),
      expiring: count('In this state.', 3),
    })
    .exactOptional()
    .meta({ description: 'How many namespaces there are, by state. Absent: unknown.' }),
  queues: z
    .strictObject({
      total: count('All queues of namespaces.', 1200),
      warned: count('Those whose owners were warned.', 2),
      deleting: count('Those that are being deleted.', 0),
      messages: count('The messages in all queues whose depth is known.', 51200),
    })
    .exactOptional()
    .meta({ description: 'Absent: unknown.' }),
  noticesWaiting: count('The notices that wait to be sent.', 1).exactOptional(),
  deadLetters: count('The requests that no agent could answer.', 0).exactOptional(),
  survey: jobView.exactOptional().meta({ description: 'The latest survey of the queues. Absent: none is known.' }),
});

const partView = z.strictObject({
  part: text('The part.', 'management'),
  state: z.enum(['starting', 'up', 'down']).meta({ description: 'starting: not up yet.', examples: ['up'] }),
  since: instantText('Since when.'),
  isRequired: z.boolean().meta({ description: 'Whether the agent serves no requests without it.', examples: [true] }),
  reason: text('Why it is not up.', 'no requests are taken').exactOptional(),
});

export const healthAnswer = z.strictObject({
  at,
  agent: answeringAgent,
  uptimeSeconds: count('For how long the agent that answers has run, in s.', 3600),
  node: text('The version of Node.js.', '20.19.0'),
  agents: z
    .array(z.strictObject({ ...agentRow.shape, parts: z.array(partView) }))
    .exactOptional()
    .meta({ description: 'All agents with their parts. Absent: the store does not answer.' }),
  parts: z.array(partView).meta({ description: 'The parts of the agent that answers, now.' }),
  jobs: z
    .array(jobView)
    .exactOptional()
    .meta({ description: 'The recurring jobs. Absent: the store does not answer.' }),
  risks: z.array(
    z.strictObject({
      choice: text('The risky choice.', 'unsealed-replies'),
      sentence: text('Why it is risky, and what to do.', 'Replies may be unsealed: …'),
    }),
  ),
  settings: z
    .array(
      z.strictObject({
        name: text('The setting, or the variable of a secret.', 'surveyIntervalSeconds'),
        value: z.json().meta({ description: 'Its value. Of a secret only whether it is set.', examples: [60] }),
        from: text('Where it was set.', 'config/default.yml'),
      }),
    )
    .exactOptional()
    .meta({
      description: 'The settings in force since the agent started. Absent: they were not given as a file or variables.',
    }),
});

export type OverviewAnswer = z.output<typeof overviewAnswer>;
export type HealthAnswer = z.output<typeof healthAnswer>;
export type FindingView = z.output<typeof findingView>;
export type AgentRow = z.output<typeof agentRow>;
export type JobView = z.output<typeof jobView>;
export type PartView = z.output<typeof partView>;
