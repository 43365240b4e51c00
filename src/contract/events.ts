import * as z from 'zod';
import { EVENT_TYPES, type EventType } from './event-types.ts';
import { formatInstant, instantText } from './fields.ts';

/** The content type of agent events: CloudEvents in structured mode. */
export const EVENT_CONTENT_TYPE = 'application/cloudevents+json';

/** The data of an event of type `T`. */
export type EventData<T extends EventType> = z.output<(typeof EVENT_TYPES)[T]['data']>;

/** An agent event: CloudEvents 1.0 in structured JSON. */
export interface AgentEvent<T extends EventType = EventType> {
  readonly specversion: '1.0';
  readonly id: string;
  /** `/<agent id>/<instance>`. */
  readonly source: string;
  readonly type: T;
  /** The queue, the namespace or the instance that the event is about. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: EventData<T>;
}

/** What {@link makeEvent} makes an event from. */
export interface EventInput<T extends EventType> {
  readonly type: T;
  /** Unique together with the source, so that consumers can recognise duplicates. */
  readonly id: string;
  readonly timeMs: number;
  /** The agent's configured id. */
  readonly agent: string;
  /** The instance of the agent. */
  readonly instance: string;
  readonly data: EventData<T>;
}

/** An event and the routing key to publish it with. */
export interface EventMessage<T extends EventType = EventType> {
  readonly event: AgentEvent<T>;
  readonly routingKey: string;
}

/**
 * Makes an event and its routing key.
 *
 * @throws ZodError if the data does not match the schema of the type. An extra field is an error, too: it could be a contact
 * or a secret, and every claimed account may read events.
 * @example
 * makeEvent({ type: 'agent.started', id, timeMs, agent: 'pulse-agent', instance: 'a1', data: { version: '1.0.0' } })
 *   .routingKey; // 'agent.started.a1'
 */
export function makeEvent<T extends EventType>(input: EventInput<T>): EventMessage<T> {
  const { type, agent, instance } = input;
  const data = EVENT_TYPES[type].data.parse(input.data) as EventData<T>;
  const { namespace, queue } = subjectsIn(data);
  const event: AgentEvent<T> = {
    specversion: '1.0',
    id: input.id,
    source: `/${agent}/${encodeURIComponent(instance)}`,
    type,
    subject: queue ?? namespace ?? instance,
    time: formatInstant(input.timeMs),
    datacontenttype: 'application/json',
    data,
  };
  return { event, routingKey: eventRoutingKey(type, namespace ?? instance) };
}

/**
 * The routing key of an event: its type, then its subject as one word. `*.*.<namespace>` matches one namespace, `queue.#` all
 * queues. Namespaces contain no dots; those in an instance, which is often a host name, become dashes.
 */
export function eventRoutingKey(type: EventType, about: string): string {
  // AMQP limits a routing key to 255 bytes.
  return `${type}.${about.replaceAll(/[^A-Za-z0-9_-]/g, '-').slice(0, 128)}`;
}

const subjectsSchema = z.object({ namespace: z.string().exactOptional(), queue: z.string().exactOptional() });

function subjectsIn(data: unknown): { namespace?: string; queue?: string } {
  return subjectsSchema.parse(data);
}

/** The schema of a complete event of a type, for documentation and consumers. */
export function eventSchema(type: EventType): z.ZodType {
  const { shape } = EVENT_TYPES[type].data;
  const about = 'queue' in shape ? 'queue/taskcluster-builds/jobs' : 'taskcluster-builds';
  return z
    .object({
      specversion: z.literal('1.0').meta({ description: 'The version of CloudEvents.' }),
      id: z
        .string()
        .min(1)
        .meta({ description: 'Unique together with source.', examples: ['50324632-f1c6-459c-9545-6a69d7e9cc17'] }),
      source: z
        .string()
        .min(1)
        .meta({ description: 'The agent and its instance.', examples: ['/pulse-agent/pulse-agent-0'] }),
      type: z.literal(type).meta({ description: 'The event type.' }),
      subject: z.string().meta({
        description: 'The queue, the namespace or the agent instance that the event is about.',
        examples: ['namespace' in shape ? about : 'pulse-agent-0'],
      }),
      time: instantText('When the event happened.'),
      datacontenttype: z.literal('application/json').meta({ description: 'Media type of `data`.' }),
      data: EVENT_TYPES[type].data.meta({ description: 'Event payload.' }),
    })
    .meta({ description: EVENT_TYPES[type].meaning });
}
