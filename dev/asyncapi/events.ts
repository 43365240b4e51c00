import { EVENT_TYPES, type EventType } from '../../src/contract/event-types.ts';
import { EVENT_CONTENT_TYPE, eventSchema } from '../../src/contract/events.ts';
import type { ContractNames } from '../../src/contract/names.ts';
import { camelCase, reference } from './requests.ts';
import { exampleOf, type Part, type SchemaComponents, toReaderSchema } from './schemas.ts';

/** What {@link describeEvents} adds to the document. */
export interface EventParts {
  readonly channels: Record<string, Part>;
  readonly operations: Record<string, Part>;
  readonly messages: Record<string, Part>;
}

/** Describes the agent events: one channel, whose address is the pattern of routing keys, and a message for each type. */
export function describeEvents({ eventsExchange }: ContractNames, schemas: SchemaComponents): EventParts {
  const types = Object.keys(EVENT_TYPES) as EventType[];
  const names = types.map((type) => `${camelCase(type)}Event`);
  return {
    messages: Object.fromEntries(types.map((type, index) => [names[index], eventMessage(type, schemas)])),
    channels: {
      events: {
        address: '{type}.{about}',
        title: 'Agent events',
        servers: [{ $ref: '#/servers/tenants' }],
        description:
          'What the agent did or observed. Any claimed account may bind a queue of its namespace to the exchange. An event is published after the fact and can be lost. It never contains a contact, a password or a connection string.',
        parameters: {
          type: { description: 'The type of the event: two words.', enum: types, examples: ['namespace.claimed'] },
          about: {
            description:
              'One word: the namespace, or, for events about an agent or the broker, the instance of the agent, in which every character except letters, digits, _ and - is replaced by -.',
            examples: ['taskcluster-builds'],
          },
        },
        messages: reference(names),
        bindings: {
          amqp: {
            is: 'routingKey',
            exchange: { name: eventsExchange, type: 'topic', durable: true, autoDelete: false },
            bindingVersion: '0.3.0',
          },
        },
      },
    },
    operations: {
      sendEvents: {
        action: 'send',
        title: 'Agent events',
        summary: 'Events for operators and owners.',
        channel: { $ref: '#/channels/events' },
        messages: names.map((name) => ({ $ref: `#/channels/events/messages/${name}` })),
      },
    },
  };
}

function eventMessage(type: EventType, schemas: SchemaComponents): Part {
  const payload = toReaderSchema(eventSchema(type), schemas);
  return {
    name: type,
    title: type,
    summary: EVENT_TYPES[type].meaning,
    contentType: EVENT_CONTENT_TYPE,
    payload,
    examples: [{ name: type, payload: exampleOf(payload, schemas) }],
  };
}
