import * as z from 'zod';
import { instantText } from '../contract/fields.ts';
import { instanceText, text, textParameter } from './field-schemas.ts';

/** An agent event on the page. */
export const eventView = z.strictObject({
  id: text('Unique, also among the events of all agents.', '50324632-f1c6-459c-9545-6a69d7e9cc17'),
  time: instantText('When it happened.'),
  type: text('The type of the event.', 'queue.warning'),
  subject: text('The queue, the namespace or the agent that it is about.', 'queue/taskcluster-builds/tasks'),
  namespace: text('The namespace. Absent: it is about an agent or the broker.', 'taskcluster-builds').exactOptional(),
  instance: instanceText.meta({ description: 'The agent that emitted it.' }),
  data: z.record(z.string(), z.json()).meta({
    description: 'Its data, as asyncapi.yaml says for its type. Empty: this agent does not know the type.',
    examples: [{ namespace: 'taskcluster-builds', queue: 'queue/taskcluster-builds/tasks', messages: 4200 }],
  }),
});

/** What a line of the stream is. */
export const streamLine = z.union([
  z
    .strictObject({
      stream: instanceText.meta({ description: 'The agent that answers.' }),
      gap: z.boolean().meta({
        description: 'Whether events may be missing before the next one, or after the one that was named.',
        examples: [false],
      }),
      agents: z.enum(['all', 'own']).meta({
        description: 'all: the events of all agents follow; own: at present those of this agent only.',
        examples: ['all'],
      }),
      reason: text('Why only its own, as a clause.', 'RabbitMQ does not answer').exactOptional(),
    })
    .meta({ description: 'The first line, and again when something of it has changed.' }),
  z.strictObject({ event: eventView }),
  z
    .strictObject({ heartbeat: instantText('The time of the agent.') })
    .meta({ description: 'After 15 s without another line.' }),
]);

export const eventsQuery = z.strictObject({
  types: textParameter(
    'Only of these types, with commas between; the first word of a type stands for all that begin with it.',
    'queue,namespace.expired',
  ).optional(),
  namespaces: textParameter('Only about these namespaces, with commas between.', 'taskcluster-builds').optional(),
  after: textParameter(
    'The id of the last event that is known: what the agent keeps of those after it comes first.',
    '50324632-f1c6-459c-9545-6a69d7e9cc17',
  ).optional(),
});

/** The stream of events: lines of JSON that never end. */
export const EVENT_STREAM = {
  path: '/api/v1/events',
  summary: 'Agent events as they happen, one line of JSON each, first the last ones that the agent keeps.',
  query: eventsQuery,
  line: streamLine,
} as const;

export type EventView = z.output<typeof eventView>;
export type EventsQuery = z.output<typeof eventsQuery>;
export type StreamLine = z.output<typeof streamLine>;
