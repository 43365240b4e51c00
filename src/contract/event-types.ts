import * as z from 'zod';
import { instantText, namespaceField } from './fields.ts';
import { NOTICE_KINDS } from './notice-kinds.ts';

const account = z.string().meta({ description: 'A RabbitMQ user.', examples: ['taskcluster-builds-1'] });
const queue = z.string().meta({ description: "The queue's name.", examples: ['queue/taskcluster-builds/jobs'] });
const messages = z
  .int()
  .nonnegative()
  .meta({ description: 'Messages in the queue when the agent inspected it.', examples: [4200] });
const bytes = z
  .int()
  .nonnegative()
  .meta({ description: 'The size of its messages in bytes, where it is known.', examples: [1_288_490_188] })
  .exactOptional();
const count = z.int().nonnegative();
/** The threshold for deletion, in an event about a queue that has passed it. */
const passedThreshold = {
  deleteAtMessages: count.meta({ description: 'The threshold that the queue passed.', examples: [8000] }),
  deleteAtBytes: count
    .meta({ description: 'The same threshold in bytes, where bytes are watched.', examples: [2_147_483_648] })
    .exactOptional(),
};
const idleSince = instantText('Since when the agents saw no use of it.', '2026-11-17T12:00:00.000Z');
const version = z.string().meta({ description: "The agent's version.", examples: ['1.0.0'] });

/** The requester, as far as it is known. */
const requester = {
  clientId: z.string().meta({ description: 'The Taskcluster clientId.', examples: ['project/builds/worker'] }),
  userId: z
    .string()
    .exactOptional()
    .meta({
      description: 'The RabbitMQ user that sent the request, if the request set user_id, which RabbitMQ checks.',
      examples: ['taskcluster-builds-1'],
    }),
};

const deletionReason = z.enum(['expired', 'released']).meta({
  description: 'expired: it was not claimed again in time; released: its owner released it.',
  examples: ['expired'],
});

/**
 * Every type of agent event: its meaning and its data. The schemas are strict, because every claimed account may read events:
 * a field that is not listed here cannot be in one. Contacts, passwords and connection strings never are.
 */
export const EVENT_TYPES = {
  'namespace.claimed': {
    meaning:
      'Credentials of a namespace were handed out for the first time, or to a different client than before. Renewals by the same client emit no event.',
    data: z.strictObject({
      namespace: namespaceField,
      ...requester,
      first: z.boolean().meta({ description: 'Whether this claim created the namespace.', examples: [true] }),
      created: instantText('When the namespace was first claimed in this incarnation.'),
      expires: instantText('When the namespace is deleted, unless it is claimed again.', '2026-11-24T16:00:00.000Z'),
      reclaimAt: instantText('When the client should claim again.', '2026-11-24T13:30:00.000Z'),
    }),
  },
  'namespace.refused': {
    meaning:
      'The first claim of a name was refused, because it would take over what exists on RabbitMQ. Emitted once for each name and agent until the reason changes.',
    data: z.strictObject({
      namespace: namespaceField,
      clientId: z.string().meta({ description: 'The Taskcluster clientId.', examples: ['project/builds/worker'] }),
      reason: z.enum(['account', 'objects']).meta({
        description:
          'account: RabbitMQ has a user with the name of an account, which no agent of this store created; objects: queues or exchanges of this name exist, and no operator adopted them.',
        examples: ['objects'],
      }),
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
        .meta({ description: 'A counter of rotations. A revocation raises it by 2.', examples: [7] }),
      nextRotation: instantText('When the other account gets a new password.', '2026-11-24T13:00:00.000Z'),
    }),
  },
  'namespace.expiring': {
    meaning:
      'A namespace and everything it owns will be deleted soon unless it is claimed again. Emitted once before each deletion, at the latest when the deletion starts.',
    data: z.strictObject({
      namespace: namespaceField,
      reason: deletionReason,
      expires: instantText(
        'When the namespace expires. Its deletion starts within a minute after that, or has started.',
        '2026-11-24T16:00:00.000Z',
      ),
    }),
  },
  'namespace.expired': {
    meaning: 'A namespace and everything it owned was deleted.',
    data: z.strictObject({
      namespace: namespaceField,
      reason: deletionReason,
      queues: count.meta({ description: 'How many queues were deleted.', examples: [3] }),
      exchanges: count.meta({ description: 'How many exchanges were deleted.', examples: [1] }),
    }),
  },
  'namespace.released': {
    meaning: 'A namespace was released by its owner and is being deleted.',
    data: z.strictObject({ namespace: namespaceField, ...requester }),
  },
  'namespace.revoked': {
    meaning: 'An operator revoked all credentials of a namespace.',
    data: z.strictObject({
      namespace: namespaceField,
      ...requester,
      revokedUntil: instantText(
        'Until when claims are refused. Absent if they are not refused.',
        '2026-11-25T12:00:00.000Z',
      ).exactOptional(),
    }),
  },
  'namespace.failing': {
    meaning: 'Work of the agent for a namespace failed and will be retried.',
    data: z.strictObject({
      namespace: namespaceField,
      work: z
        .enum(['rotation', 'deletion', 'repair', 'revocation'])
        .meta({ description: 'The work that failed.', examples: ['rotation'] }),
      failures: z
        .int()
        .positive()
        .meta({ description: 'How often it has failed in a row.', examples: [2] }),
      error: z.string().meta({ description: "The agent's error code.", examples: ['BrokerUnavailable'] }),
      retryAt: instantText('When the work is retried.', '2026-11-24T12:00:30.000Z'),
    }),
  },
  'queue.warning': {
    meaning: 'A queue has grown past the warning threshold.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      messages,
      bytes,
      warnAtMessages: count.meta({ description: 'The threshold that the queue passed.', examples: [4000] }),
      deleteAtMessages: count.meta({ description: 'The threshold at which the queue is deleted.', examples: [8000] }),
      warnAtBytes: count
        .meta({ description: 'The same threshold in bytes, where bytes are watched.', examples: [1_073_741_824] })
        .exactOptional(),
      deleteAtBytes: count
        .meta({
          description: 'The size at which the queue is deleted, where bytes are watched.',
          examples: [2_147_483_648],
        })
        .exactOptional(),
      onOvergrown: z
        .enum(['purge', 'leave'])
        .meta({
          description:
            'What is done at that threshold by the rule of the queue: purge its messages, or leave it. Absent: the queue is deleted.',
          examples: ['purge'],
        })
        .exactOptional(),
    }),
  },
  'queue.recovered': {
    meaning: 'A queue with a warning has shrunk to less than half of the warning threshold.',
    data: z.strictObject({ namespace: namespaceField, queue, messages, bytes }),
  },
  'queue.deleted': {
    meaning: 'A queue was deleted because it had grown too large.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      messages,
      bytes,
      ...passedThreshold,
    }),
  },
  'queue.purged': {
    meaning:
      'The ready messages of a queue were purged because it had grown too large, by the rule of the queue. It stays, with its bindings and consumers.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      messages: count.meta({ description: 'How many messages were lost.', examples: [8123] }),
      bytes: count
        .meta({
          description: 'The size of their bodies, as last known. Absent where it was not known.',
          examples: [4_158_976],
        })
        .exactOptional(),
      oldest: instantText(
        'When the oldest of them was published. RabbitMQ knows it of classic queues whose messages have a timestamp.',
        '2026-11-24T11:00:00.000Z',
      ).exactOptional(),
      ...passedThreshold,
    }),
  },
  'queue.left': {
    meaning:
      'A queue has passed the threshold for deletion and stays, by its rule. It is reported once until it has recovered.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      messages,
      bytes,
      ...passedThreshold,
    }),
  },
  'queue.idle': {
    meaning:
      'A queue had no consumer and did not change for as long as its rule says. It is deleted after as long again, unless it is used.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      messages,
      idleSince,
      expires: instantText('When it is deleted, at the earliest.', '2026-12-01T12:00:00.000Z'),
    }),
  },
  'queue.expired': {
    meaning: 'An unused queue was deleted, by its rule.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      messages,
      idleSince,
    }),
  },
  'queue.exempted': {
    meaning:
      'An operator exempted a queue from deletion for a while. It is not deleted until then, however deep it grows, also if its namespace is released; the namespace does not expire.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      until: instantText('When the exemption ends by itself.', '2026-11-24T14:00:00.000Z'),
    }),
  },
  'queue.exemption-ended': {
    meaning: 'The exemption of a queue from deletion has ended.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      reason: z
        .enum(['expired', 'ended'])
        .meta({ description: 'expired: its time was over; ended: an operator ended it.', examples: ['expired'] }),
    }),
  },
  'notice.failed': {
    meaning:
      'A notice to the owner of a namespace could not be delivered and was abandoned. A namespace without a contact gets no notices.',
    data: z.strictObject({
      namespace: namespaceField,
      queue,
      notice: z.enum(NOTICE_KINDS).meta({ description: 'The kind of notice.', examples: ['queue-warning'] }),
      attempts: count.meta({ description: 'How many attempts were made.', examples: [3] }),
      error: z.string().meta({
        description: 'The error code of the last attempt, from Taskcluster or the agent.',
        examples: ['DenylistedAddress', 'InsufficientScopes', 'TimedOut', 'NotSent', 'NotInRoom', 'NotConfigured'],
      }),
      shared: z
        .boolean()
        .exactOptional()
        .meta({
          description: 'Whether one message was for several queues: there is an event for each. Absent: no.',
          examples: [true],
        }),
    }),
  },
  'connection.closed': {
    meaning: 'The agent closed a connection of a claimed account.',
    data: z.strictObject({
      namespace: namespaceField,
      account,
      connection: z.string().meta({
        description:
          "A random id of the connection. The audit record has it beside RabbitMQ's name of the connection, which holds addresses.",
        examples: ['5b0c6a1e-3f0e-4c1b-9d2a-7f3e8a9b0c1d'],
      }),
      reason: z.enum(['age', 'revoked', 'expired', 'released', 'overgrown']).meta({
        description:
          'age: it was open for longer than connectionMaxAgeSeconds; revoked: the credentials were revoked; expired, released: the namespace is being deleted; overgrown: it held an exclusive queue that had grown too large.',
        examples: ['age'],
      }),
    }),
  },
  'account.repaired': {
    meaning: 'An account drifted from its record (changed externally) and was restored.',
    data: z.strictObject({
      namespace: namespaceField,
      account,
      repaired: z
        .array(z.enum(['account', 'password', 'tags', 'permissions', 'limits', 'binding']))
        .min(1)
        .meta({
          description: 'What was restored. binding: a foreign binding was removed.',
          examples: [['permissions']],
        }),
    }),
  },
  'broker.alarm': {
    meaning: 'RabbitMQ set or cleared an alarm. While one is set, it blocks connections that publish.',
    data: z.strictObject({
      alarm: z.string().meta({ description: "RabbitMQ's name of the alarm.", examples: ['memory', 'disk'] }),
      node: z
        .string()
        .exactOptional()
        .meta({ description: 'The RabbitMQ node.', examples: ['rabbit@pulse-1'] }),
      active: z.boolean().meta({ description: 'true: the alarm is set; false: it was cleared.', examples: [true] }),
    }),
  },
  'agent.started': {
    meaning: 'An agent started to serve requests.',
    data: z.strictObject({ version }),
  },
  'agent.stopped': {
    meaning: 'An agent stopped serving requests.',
    data: z.strictObject({
      version,
      uptimeSeconds: z
        .number()
        .nonnegative()
        .meta({ description: 'How long the agent ran, in seconds.', examples: [86400] }),
    }),
  },
} as const satisfies Record<string, { meaning: string; data: z.ZodType }>;

/** A type of agent event. */
export type EventType = keyof typeof EVENT_TYPES;

/** Whether `type` is a type of agent event. */
export function isEventType(type: string): type is EventType {
  return Object.hasOwn(EVENT_TYPES, type);
}
