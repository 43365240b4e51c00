import * as z from 'zod';
import { contactField } from './contact.ts';
import { continuationTokenField, instantField, instantText, limitField, namespaceField } from './fields.ts';
import { namespaceDescription, namespaceView } from './namespace-results.ts';
import { queueLimitsField } from './queue-limits-field.ts';
import { replyKeyField } from './reply-key.ts';

/** A method of the wire contract: its input, its result and the authorisation it needs. */
export interface MethodContract {
  /** One sentence for documentation and help texts. */
  readonly meaning: string;
  /** The body of a request. An unknown field is an error. Instants become ms since the epoch. */
  readonly body: z.ZodType;
  /** The body of a reply of type `result`. Readers ignore unknown fields: later agents may add some. */
  readonly result: z.ZodType;
  /** Whether a request needs a signature. An invalid signature is an error even if none is needed. */
  readonly signed: boolean;
  /** The Taskcluster scope that the signer needs, or one of {@link acceptedScopes}; null if the method needs none. */
  readonly scope: ((namespace: string) => string) | null;
}

/** The scope to claim and release a namespace. */
export function namespaceScope(namespace: string): string {
  return `pulse:namespace:${namespace}`;
}

/** The scope of operators to revoke a namespace's credentials. */
export function revokeScope(namespace: string): string {
  return `pulse:revoke:${namespace}`;
}

/** The scope to see the details of a namespace. Who may claim it may see them, too. */
export function describeScope(namespace: string): string {
  return `pulse:describe:${namespace}`;
}

const namespaceOnly = z.strictObject({ namespace: namespaceField });

/** The methods of the wire contract, by name. The name is the routing key of a request. */
export const METHODS = {
  ping: {
    meaning: 'Checks that an agent is alive.',
    body: z.strictObject({}),
    result: z.object({
      alive: z.literal(true).meta({ description: 'Always `true`.' }),
      uptimeSeconds: z
        .number()
        .nonnegative()
        .meta({ description: 'Seconds since the agent started.', examples: [86400] }),
      version: z.string().meta({ description: "The agent's version.", examples: ['1.0.0'] }),
      agent: z.string().meta({ description: "The agent's configured id.", examples: ['pulse-agent'] }),
    }),
    signed: false,
    scope: null,
  },
  'claim-namespace': {
    meaning: 'Returns credentials for a namespace, and creates the namespace if it does not exist.',
    body: z
      .strictObject({
        namespace: namespaceField,
        expires: instantField(
          'When the namespace may be deleted. A claim never shortens it. Omitted: at least the default lifetime from now.',
          '2026-11-24T16:00:00.000Z',
        ).exactOptional(),
        contact: contactField.exactOptional(),
        queueLimits: queueLimitsField.exactOptional(),
        replyKey: replyKeyField.exactOptional(),
      })
      .transform(({ expires, ...rest }) => ({ ...rest, ...(expires === undefined ? {} : { expiresMs: expires }) })),
    result: z.object({
      namespace: namespaceField,
      created: instantText('When the namespace was first claimed in this incarnation.'),
      expires: instantText(
        'When the namespace and everything it owns is deleted, unless it is claimed again.',
        '2026-11-24T16:00:00.000Z',
      ),
      reclaimAt: instantText(
        'When to claim again. The credentials work until then, at least.',
        '2026-11-24T13:30:00.000Z',
      ),
      connectionString: z.string().meta({
        description: 'The AMQP URL with the credentials, a secret.',
        examples: ['amqps://taskcluster-builds-1:…@pulse-a.example.com:5671/%2F'],
      }),
      connectionStrings: z
        .array(z.string())
        .min(2)
        .exactOptional()
        .meta({
          description:
            'Present if RabbitMQ has several addresses: a URL for each, which differ in host and port only. Try them in this order. The first is connectionString. Secrets.',
          examples: [
            [
              'amqps://taskcluster-builds-1:…@pulse-a.example.com:5671/%2F',
              'amqps://taskcluster-builds-1:…@pulse-b.example.com:5671/%2F',
            ],
          ],
        }),
    }),
    signed: true,
    scope: namespaceScope,
  },
  'get-namespace': {
    meaning: 'Returns one namespace, with details for a client that may see them.',
    body: namespaceOnly,
    result: namespaceView,
    signed: false,
    scope: null,
  },
  'describe-namespace': {
    meaning:
      'Describes a namespace to those who may claim or describe it: its queues, how they grow, and what was done.',
    body: namespaceOnly,
    result: namespaceDescription,
    signed: true,
    scope: describeScope,
  },
  'list-namespaces': {
    meaning: 'Lists all namespaces, sorted by name, page by page, with details for a client that may see them.',
    body: z.strictObject({ limit: limitField, continuationToken: continuationTokenField.exactOptional() }),
    result: z.object({
      namespaces: z.array(namespaceView).meta({ description: 'The namespaces of this page.' }),
      continuationToken: continuationTokenField.exactOptional(),
    }),
    signed: false,
    scope: null,
  },
  'release-namespace': {
    meaning: 'Deletes a namespace now: its accounts, connections, queues and exchanges.',
    body: namespaceOnly,
    result: z.object({
      namespace: namespaceField,
      state: z.literal('expiring').meta({ description: 'The namespace is being deleted.' }),
    }),
    signed: true,
    scope: namespaceScope,
  },
  'revoke-namespace': {
    meaning: 'Revokes all credentials of a namespace and closes their connections. Its queues stay.',
    body: z
      .strictObject({
        namespace: namespaceField,
        until: instantField(
          'Claims are refused until then. Omitted: the owner may claim again immediately.',
          '2026-11-25T12:00:00.000Z',
        ).exactOptional(),
      })
      .transform(({ until, ...rest }) => ({ ...rest, ...(until === undefined ? {} : { untilMs: until }) })),
    result: z.object({
      namespace: namespaceField,
      revokedUntil: instantText(
        'Until when claims are refused. Absent if they are not refused.',
        '2026-11-25T12:00:00.000Z',
      ).exactOptional(),
    }),
    signed: true,
    scope: revokeScope,
  },
} as const satisfies Record<string, MethodContract>;

/** The name of a method: the routing key of its requests. */
export type MethodName = keyof typeof METHODS;

/** The parsed body of a request: instants are ms since the epoch (`expiresMs`, `untilMs`), defaults are filled in. */
export type RequestBody<M extends MethodName> = z.output<(typeof METHODS)[M]['body']>;

/** The body of a request as JSON: instants are text. */
export type RequestInput<M extends MethodName> = z.input<(typeof METHODS)[M]['body']>;

/** The body of a result. */
export type ResultBody<M extends MethodName> = z.output<(typeof METHODS)[M]['result']>;

/** The result of a claim; `connectionString` and `connectionStrings` are secrets. */
export type Claim = ResultBody<'claim-namespace'>;

/** The scopes of which the signer needs one; none if the method needs none. Who may claim a namespace may describe it. */
export function acceptedScopes(method: MethodName, namespace: string): readonly string[] {
  const { scope } = METHODS[method];
  if (scope === null) return [];
  return scope === describeScope ? [describeScope(namespace), namespaceScope(namespace)] : [scope(namespace)];
}

/** Whether `name` is the name of a method. */
export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(METHODS, name);
}

/** Whether a request can be sent again: a second release or revocation could hit what was claimed after the first one. */
export function isRepeatable(method: string): boolean {
  return method !== 'release-namespace' && method !== 'revoke-namespace';
}
