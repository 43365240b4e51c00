import * as z from 'zod';
import { instantText, namespaceField } from './fields.ts';

const account = z.string().meta({ description: 'A RabbitMQ user.', examples: ['taskcluster-builds-1'] });
const queue = z.string().meta({ description: "The queue's name.", examples: ['queue/taskcluster-builds/jobs'] });
const messages = z
  .int()
  .nonnegative()
  .meta({ description: 'Messages in the queue when it was looked at.', examples: [4200] });
const count = z.int().nonnegative();
const version = z.string().meta({ description: "The agent's version.", examples: ['1.0.0'] });

/** Who asked for it, as far as it is known. */
const requester = {
  clientId: z.string().meta({ description: 'The Taskcluster clientId.', examples: ['project/builds/worker'] }),
  userId: z
    .string()
    .exactOptional()
    .meta({
      description: 'The RabbitMQ user that sent the request, where it set the user_id that the broker checks.',
      examples: ['taskcluster-builds-1'],
    }),
};

const endReason = z.enum(['expired', 'released']).meta({
  description: 'expired: nobody claimed it again in time; released: its owner ended it.',
  examples: ['expired'],
});

/**
 * Every type of agent event: what it means and what its data holds. Strict: every claimed account may read events, so
 * what is not listed here is not in them; contacts, passwords and connection strings never are.
 */
export const EVENT_TYPES = {
  'namespace.claimed': {
    meaning:
      'Credentials of a namespace were given out for the first time, or to another client than before. Renewals by the same client give no event.',
    data: z.strictObject({
      namespace: namespaceField,
      ...requester,
      first: z.boolean().meta({ description: 'Whether this claim made the namespace.', examples: [true] }),
      created: instantText('When it was first claimed in this incarnation.'),
      expires: instantText('When it is deleted, unless it is claimed again.', '2026-11-24T16:00:00.000Z'),
      reclaimAt: instantText('When the client should claim again.', '2026-11-24T13:30:00.000Z'),
    }),
  },
  'namespace.rotated': {
    meaning: 'The standby account of a namespace got a new password and became the active one.',
    data: z.strictObject({
      namespace: namespaceField,
      account,
      generation: z
        .int()
        .positive()
        .meta({ description: 'Counts rotations.', examples: [7] }),
      nextRotation: instantText('When the other account gets a new password.', '2026-11-24T13:00:00.000Z'),
    }),
  },
  'namespace.expiring': {
    meaning:
      'A namespace and all that it owns will be deleted soon unless it is claimed again; told once before each end, at the latest when deletion starts.',
    data: z.strictObject({
      namespace: namespaceField,
      reason: endReason,
      expires: instantText(
        'When it expires; deletion starts a minute later at most, or has started.',
        '2026-11-24T16:00:00.000Z',
      ),
    }),
  },
  'namespace.expired': {
    meaning: 'A namespace and all that it owned is deleted.',
    data: z.strictObject({
      namespace: namespaceField,
      reason: endReason,
      queues: count.meta({ description: 'How many queues were deleted.', examples: [3] }),
      exchanges: count.meta({ description: 'How many exchanges were deleted.', examples: [1] }),
    }),
  },
  'namespace.released': {
    meaning: 'The owner of a namespace asked for its end.',
    data: z.strictObject({ namespace: namespaceField, ...requester }),
  },
  'namespace.revoked': {
    meaning: 'An operator made all credentials of a namespace useless.',
    data: z.strictObject({
      namespace: namespaceField,
      ...requester,
      revokedUntil: instantText(
        'Until when claims are refused; absent when they are not.',
        '2026-11-25T12:00:00.000Z',
      ).exactOptional(),
    }),
  },
  'namespace.failing': {
    meaning: 'Something that the agent does for a namespace has failed and is tried again.',
    data: z.strictObject({
      namespace: namespaceField,
      work: z
        .enum(['rotation', 'deletion', 'repair', 'revocation'])
        .meta({ description: 'What has failed.', examples: ['rotation'] }),
      failures: z
        .int()
        .positive()
        .meta({ description: 'How often it has failed in a row.', examples: [2] }),
      error: z.string().meta({ description: "The agent's code of the failure.", examples: ['BrokerUnavailable'] }),
      retryAt: instantText('When it is tried again.', '2026-11-24T12:00:30.000Z'),
    }),
  },
  'queue.warning': {
    meaning: 'A queue has grown past the threshold for warnings.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      messages,
      warnAtMessages: count.meta({ description: 'The threshold that it passed.', examples: [4000] }),
      deleteAtMessages: count.meta({ description: 'The threshold at which it is deleted.', examples: [8000] }),
    }),
  },
  'queue.recovered': {
    meaning: 'A queue that was warned of is small again.',
    data: z.strictObject({ namespace: namespaceField, queue, messages }),
  },
  'queue.deleted': {
    meaning: 'A queue was deleted because it had grown too large.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      messages,
      deleteAtMessages: count.meta({ description: 'The threshold that it passed.', examples: [8000] }),
    }),
  },
  'notice.failed': {
    meaning:
      'The owner of a namespace could not be told of something by mail, and this is given up. A namespace without a contact has no notices.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      notice: z
        .enum(['queue-warning', 'queue-deletion', 'queue-recovered'])
        .meta({ description: 'What it tells of.', examples: ['queue-warning'] }),
      attempts: count.meta({ description: 'How often it was tried.', examples: [3] }),
      error: z.string().meta({
        description: "Taskcluster's code of the latest failure, or the agent's.",
        examples: ['DenylistedAddress', 'InsufficientScopes', 'TimedOut', 'NotSent', 'NotConfigured'],
      }),
    }),
  },
  'connection.closed': {
    meaning: 'The agent closed a connection of a claimed account.',
    data: z.strictObject({
      namespace: namespaceField,
      account,
      connection: z
        .string()
        .meta({ description: "RabbitMQ's name of it.", examples: ['10.0.0.7:51234 -> 10.0.0.2:5671'] }),
      reason: z.enum(['age', 'revoked', 'expired', 'released', 'overgrown']).meta({
        description:
          'age: it was open for longer than connectionMaxAgeSeconds; overgrown: a queue that only it may use had grown too large.',
        examples: ['age'],
      }),
    }),
  },
  'account.repaired': {
    meaning: 'An account was not as recorded, by somebody else, and is again.',
    data: z.strictObject({
      namespace: namespaceField,
      account,
      repaired: z
        .array(z.enum(['account', 'password', 'tags', 'permissions', 'limits', 'binding']))
        .min(1)
        .meta({
          description: 'What was restored or, of bindings into the request exchange, removed.',
          examples: [['permissions']],
        }),
    }),
  },
  'broker.alarm': {
    meaning: 'RabbitMQ set or cleared an alarm. While one is set, it blocks connections that publish.',
    data: z.strictObject({
      alarm: z.string().meta({ description: "RabbitMQ's name of it.", examples: ['memory', 'disk'] }),
      node: z
        .string()
        .exactOptional()
        .meta({ description: 'The node.', examples: ['rabbit@pulse-1'] }),
      active: z.boolean().meta({ description: 'true: set; false: cleared.', examples: [true] }),
    }),
  },
  'agent.started': {
    meaning: 'An agent serves requests.',
    data: z.strictObject({ version }),
  },
  'agent.stopped': {
    meaning: 'An agent serves no more requests.',
    data: z.strictObject({
      version,
      uptimeSeconds: z
        .number()
        .nonnegative()
        .meta({ description: 'How long it ran.', examples: [86400] }),
    }),
  },
} as const satisfies Record<string, { meaning: string; data: z.ZodType }>;

/** A type of agent event. */
export type EventType = keyof typeof EVENT_TYPES;

/** Whether `type` is a type of agent event. */
export function isEventType(type: string): type is EventType {
  return Object.hasOwn(EVENT_TYPES, type);
}
