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
  /** The queue, the namespace or the instance that it is about. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: EventData<T>;
}

/** What an event is made of. */
export interface EventInput<T extends EventType> {
  readonly type: T;
  /** Unique with the source; a consumer that has seen both has seen the event. */
  readonly id: string;
  readonly timeMs: number;
  /** The agent's configured id. */
  readonly agent: string;
  /** Which of the agents with that id. */
  readonly instance: string;
  readonly data: EventData<T>;
}

/** An event with what is needed to publish it. */
export interface EventMessage<T extends EventType = EventType> {
  readonly event: AgentEvent<T>;
  readonly routingKey: string;
}

/**
 * Makes an event and its routing key.
 *
 * @throws ZodError when the data is not what the type's schema says. A field too many is refused, too: it could be a
 * contact or a secret, and every claimed account may read events.
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
 * The routing key of an event: its type and what it is about, which is always one word: `*.*.<namespace>` watches one
 * namespace, `queue.#` all queues. Namespaces hold no dots; those of an instance, often a host's name, become dashes.
 */
export function eventRoutingKey(type: EventType, about: string): string {
  // AMQP carries 255 bytes.
  return `${type}.${about.replaceAll(/[^A-Za-z0-9_-]/g, '-').slice(0, 128)}`;
}

function subjectsIn(data: unknown): { namespace?: string; queue?: string } {
  return z.object({ namespace: z.string().exactOptional(), queue: z.string().exactOptional() }).parse(data);
}

/** The schema of a whole event of a type, for documentation and for consumers. */
export function eventSchema(type: EventType): z.ZodType {
  const { shape } = EVENT_TYPES[type].data;
  const about = 'queue' in shape ? 'queue/taskcluster-builds/jobs' : 'taskcluster-builds';
  return z
    .object({
      specversion: z.literal('1.0').meta({ description: 'The version of CloudEvents.' }),
      id: z
        .string()
        .min(1)
        .meta({ description: 'Unique with the source.', examples: ['50324632-f1c6-459c-9545-6a69d7e9cc17'] }),
      source: z
        .string()
        .min(1)
        .meta({ description: 'Which agent.', examples: ['/pulse-agent/pulse-agent-0'] }),
      type: z.literal(type).meta({ description: 'What happened.' }),
      subject: z.string().meta({
        description: 'The queue, the namespace or the instance that it is about.',
        examples: ['namespace' in shape ? about : 'pulse-agent-0'],
      }),
      time: instantText('When it happened.'),
      datacontenttype: z.literal('application/json').meta({ description: 'Of what data is.' }),
      data: EVENT_TYPES[type].data.meta({ description: 'What is told of it.' }),
    })
    .meta({ description: EVENT_TYPES[type].meaning });
}
