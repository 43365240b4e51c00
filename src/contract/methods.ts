import * as z from 'zod';
import {
  contactField,
  continuationTokenField,
  instantField,
  instantText,
  limitField,
  namespaceField,
} from './fields.ts';
import { replyKeyField } from './reply-key.ts';

/** What a method of the wire contract takes, gives and needs. */
export interface MethodContract {
  /** One sentence for documentation and help texts. */
  readonly meaning: string;
  /** The body of a request; strict, an unknown field is an error. Instants become ms since the epoch. */
  readonly body: z.ZodType;
  /** The body of a reply of type `result`. Readers ignore fields that they do not know: later agents may add some. */
  readonly result: z.ZodType;
  /** Whether a request needs a signature. Where it needs none, a wrong one is an error all the same. */
  readonly signed: boolean;
  /** The Taskcluster scope that the signer must have; null where the method needs none. */
  readonly scope: ((namespace: string) => string) | null;
}

/** The scope of a namespace's owners. */
export function namespaceScope(namespace: string): string {
  return `pulse:namespace:${namespace}`;
}

/** The scope of operators that may revoke a namespace's credentials. */
export function revokeScope(namespace: string): string {
  return `pulse:revoke:${namespace}`;
}

const namespaceOnly = z.strictObject({ namespace: namespaceField });

const namespaceView = z
  .object({
    namespace: namespaceField,
    created: instantText('When it was first claimed in this incarnation.'),
    expires: instantText('When it and all that it owns is deleted.', '2026-11-24T16:00:00.000Z'),
    state: z.enum(['provisioning', 'active', 'expiring']).meta({
      description: 'provisioning: its accounts are being made; active: it can be used; expiring: it is being deleted.',
      examples: ['active'],
    }),
  })
  .meta({ id: 'Namespace', description: 'A namespace as anybody may see it.' });

/** The six methods of the wire contract. The routing key of a request is the name here. */
export const METHODS = {
  ping: {
    meaning: 'Says that an agent is alive.',
    body: z.strictObject({}),
    result: z.object({
      alive: z.literal(true).meta({ description: 'That an agent has answered says it already.' }),
      uptimeSeconds: z
        .number()
        .nonnegative()
        .meta({ description: 'Since the agent started.', examples: [86400] }),
      version: z.string().meta({ description: "The agent's version.", examples: ['1.0.0'] }),
      agent: z.string().meta({ description: "The agent's configured id.", examples: ['pulse-agent'] }),
    }),
    signed: false,
    scope: null,
  },
  'claim-namespace': {
    meaning: 'Gives credentials for a namespace, and makes the namespace first if there is none.',
    body: z
      .strictObject({
        namespace: namespaceField,
        expires: instantField(
          'When the namespace may be deleted; never shortens what was promised. Omitted: at least the default lifetime from now.',
          '2026-11-24T16:00:00.000Z',
        ).exactOptional(),
        contact: contactField.exactOptional(),
        replyKey: replyKeyField.exactOptional(),
      })
      .transform(({ expires, ...rest }) => ({ ...rest, ...(expires === undefined ? {} : { expiresMs: expires }) })),
    result: z.object({
      namespace: namespaceField,
      created: instantText('When it was first claimed in this incarnation.'),
      expires: instantText(
        'When it and all that it owns is deleted, unless it is claimed again.',
        '2026-11-24T16:00:00.000Z',
      ),
      reclaimAt: instantText(
        'When to claim again: the credentials work at least until then.',
        '2026-11-24T13:30:00.000Z',
      ),
      connectionString: z.string().meta({
        description: 'The AMQP URL with the credentials. It is a secret.',
        examples: ['amqps://taskcluster-builds-1:…@pulse.example.com:5671/%2F'],
      }),
    }),
    signed: true,
    scope: namespaceScope,
  },
  'get-namespace': {
    meaning: 'Tells about one namespace.',
    body: namespaceOnly,
    result: namespaceView,
    signed: false,
    scope: null,
  },
  'list-namespaces': {
    meaning: 'Tells about all namespaces, sorted by name, page by page.',
    body: z.strictObject({ limit: limitField, continuationToken: continuationTokenField.exactOptional() }),
    result: z.object({
      namespaces: z.array(namespaceView).meta({ description: 'This page of them.' }),
      continuationToken: continuationTokenField.exactOptional(),
    }),
    signed: false,
    scope: null,
  },
  'release-namespace': {
    meaning: 'Ends a namespace now: its accounts, connections, queues and exchanges are deleted.',
    body: namespaceOnly,
    result: z.object({
      namespace: namespaceField,
      state: z.literal('expiring').meta({ description: 'It is being deleted.' }),
    }),
    signed: true,
    scope: namespaceScope,
  },
  'revoke-namespace': {
    meaning: 'Makes all credentials given out for a namespace useless and closes their connections; its queues stay.',
    body: z
      .strictObject({
        namespace: namespaceField,
        until: instantField(
          'Until then claims are refused. Omitted: the owner may claim anew at once.',
          '2026-11-25T12:00:00.000Z',
        ).exactOptional(),
      })
      .transform(({ until, ...rest }) => ({ ...rest, ...(until === undefined ? {} : { untilMs: until }) })),
    result: z.object({
      namespace: namespaceField,
      revokedUntil: instantText(
        'Until when claims are refused; absent when they are not.',
        '2026-11-25T12:00:00.000Z',
      ).exactOptional(),
    }),
    signed: true,
    scope: revokeScope,
  },
} as const satisfies Record<string, MethodContract>;

/** The name of a method: the routing key of its requests. */
export type MethodName = keyof typeof METHODS;

/** The body of a request as parsed: instants are ms since the epoch (`expiresMs`, `untilMs`), defaults filled in. */
export type RequestBody<M extends MethodName> = z.output<(typeof METHODS)[M]['body']>;

/** The body of a request as it is written in JSON: instants are text. */
export type RequestInput<M extends MethodName> = z.input<(typeof METHODS)[M]['body']>;

/** The body of a result. */
export type ResultBody<M extends MethodName> = z.output<(typeof METHODS)[M]['result']>;

/** The result of a claim; `connectionString` is a secret. */
export type Claim = ResultBody<'claim-namespace'>;

/** Whether `name` is the name of a method. */
export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(METHODS, name);
}
