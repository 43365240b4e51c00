import { acceptedScopes, METHODS, type MethodName } from '../../src/contract/methods.ts';
import type { ContractNames } from '../../src/contract/names.ts';
import { errorMessage, otherMessage, requestMessage, resultMessage, sealedMessage } from './messages.ts';
import type { Part, SchemaComponents } from './schemas.ts';

/** What {@link describeRequests} adds to the document. */
export interface RequestParts {
  readonly channels: Record<string, Part>;
  readonly operations: Record<string, Part>;
  readonly messages: Record<string, Part>;
  readonly schemas: SchemaComponents;
}

const REPLIES = '#/channels/replies';

/** Requests and replies have a vhost of their own. */
const SERVERS = [{ $ref: '#/servers/requests' }];

/** Describes the methods: a channel and an operation for each, and the channel of replies. */
export function describeRequests(names: ContractNames): RequestParts {
  const schemas: SchemaComponents = {};
  const messages: Record<string, Part> = { error: errorMessage(schemas), otherRequest: otherMessage() };
  const channels: Record<string, Part> = {
    otherMethods: {
      address: '{method}',
      title: 'Other methods',
      servers: SERVERS,
      description: 'Requests whose routing key is not a method: of a later version, or misspelled.',
      parameters: { method: { description: 'Any routing key that is not a method.', examples: ['make-coffee'] } },
      messages: reference(['otherRequest']),
      bindings: { amqp: rpcBinding(names) },
    },
  };
  const operations: Record<string, Part> = {
    refuseOtherMethods: {
      action: 'receive',
      title: 'Other methods',
      summary: 'Answered with the error InputError with the details {"field": "method"}.',
      channel: { $ref: '#/channels/otherMethods' },
      messages: [{ $ref: '#/channels/otherMethods/messages/otherRequest' }],
      reply: replyTo(['error']),
    },
  };
  const replies: string[] = ['error'];
  for (const method of Object.keys(METHODS) as MethodName[]) {
    const name = camelCase(method);
    const results = [`${name}Result`];
    messages[`${name}Request`] = requestMessage(method, schemas);
    messages[`${name}Result`] = resultMessage(method, schemas);
    if (method === 'claim-namespace') {
      messages[`${name}SealedResult`] = sealedMessage(method);
      results.push(`${name}SealedResult`);
    }
    replies.push(...results);
    channels[name] = {
      address: method,
      title: method,
      servers: SERVERS,
      description: `Requests of the method ${method}, which is the routing key.`,
      messages: reference([`${name}Request`]),
      bindings: { amqp: rpcBinding(names) },
    };
    operations[name] = methodOperation(method, results);
  }
  channels['replies'] = {
    address: null,
    title: 'Replies',
    servers: SERVERS,
    description:
      'A reply goes to the reply_to of the request, which must be direct reply-to. The agent publishes it to the default exchange of the vhost of the requests.',
    messages: reference(replies),
    bindings: { amqp: { is: 'routingKey', exchange: { name: '', type: 'default' }, bindingVersion: '0.3.0' } },
  };
  return { channels, operations, messages, schemas };
}

/** `claim-namespace` as `claimNamespace`. */
export function camelCase(name: string): string {
  return name.replaceAll(/[-.]([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

/** References to messages of the components, by name. */
export function reference(messages: readonly string[]): Record<string, { $ref: string }> {
  return Object.fromEntries(messages.map((name) => [name, { $ref: `#/components/messages/${name}` }]));
}

function methodOperation(method: MethodName, results: readonly string[]): Part {
  const { meaning, signed, scope } = METHODS[method];
  const scopes = acceptedScopes(method, '<namespace>');
  const needs =
    scope === null
      ? 'It needs no signature; an invalid signature is an error.'
      : `A Taskcluster client with the scope ${scopes.join(' or ')} signs it.`;
  return {
    action: 'receive',
    title: method,
    summary: meaning,
    description: `${meaning} ${needs}`,
    channel: { $ref: `#/channels/${camelCase(method)}` },
    messages: [{ $ref: `#/channels/${camelCase(method)}/messages/${camelCase(method)}Request` }],
    ...(signed ? { security: [{ $ref: '#/components/securitySchemes/hawk' }] } : {}),
    ...(scope === null ? {} : { 'x-taskcluster-scope': scope('<namespace>') }),
    reply: replyTo([...results, 'error']),
    bindings: { amqp: { ack: true, bindingVersion: '0.3.0' } },
  };
}

function replyTo(messages: readonly string[]): Part {
  return {
    address: { $ref: '#/components/replyAddresses/replyTo' },
    channel: { $ref: REPLIES },
    messages: messages.map((name) => ({ $ref: `${REPLIES}/messages/${name}` })),
  };
}

function rpcBinding({ rpcExchange }: ContractNames): Part {
  return {
    is: 'routingKey',
    exchange: { name: rpcExchange, type: 'direct', durable: true, autoDelete: false },
    bindingVersion: '0.3.0',
  };
}
