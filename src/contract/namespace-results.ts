import * as z from 'zod';
import { instantText, namespaceField } from './fields.ts';
import { claimedLimits } from './queue-limits-field.ts';

const amount = (description: string, example: number): z.ZodInt =>
  z
    .int()
    .nonnegative()
    .meta({ description, examples: [example] });

/** Who holds a namespace, for those who may see it. */
const holdingFields = {
  holder: z.string().meta({ description: 'The clientId of the latest claim.', examples: ['project/builds/worker'] }),
  lastClaim: instantText('When that claim was made. Absent if no agent recorded it.').exactOptional(),
  nextRotation: instantText(
    'When its credentials change. Absent if it is being deleted.',
    '2026-11-24T13:00:00.000Z',
  ).exactOptional(),
};

const namespaceDetails = z
  .object({
    ...holdingFields,
    counts: z
      .object({
        at: instantText('When they were counted.'),
        queues: amount('The number of its queues.', 3),
        messages: amount('The number of messages in these queues, without those of `uncountedQueues`.', 1200),
        uncountedQueues: amount(
          'The number of queues whose depth is unknown: streams, and queues whose node is down. Absent if there is none.',
          1,
        ).exactOptional(),
        connections: amount('The number of open connections of its accounts.', 2),
      })
      .meta({ description: 'What the namespace has on the broker. Absent while it is unknown.' })
      .exactOptional(),
  })
  .meta({
    description:
      'Present if the request is signed by a client with the scope `pulse:describe:<namespace>` or `pulse:namespace:<namespace>`.',
  });

/** What everyone sees of a namespace. */
const publicFields = {
  namespace: namespaceField,
  created: instantText('When the namespace was first claimed in this incarnation.'),
  expires: instantText('When the namespace and everything it owns is deleted.', '2026-11-24T16:00:00.000Z'),
  state: z.enum(['provisioning', 'active', 'expiring']).meta({
    description:
      'provisioning: its account is being created or its credentials are being replaced; active: its credentials can be used; expiring: it is being deleted.',
    examples: ['active'],
  }),
  blockedBy: z
    .string()
    .meta({
      description: 'What the deletion of an expiring namespace waits for, for people. Absent if it waits for nothing.',
      examples: ['its queue queue/taskcluster-builds/tasks is on node rabbit@b, which is down'],
    })
    .exactOptional(),
};

/** A namespace in the results of `get-namespace` and `list-namespaces`. */
export const namespaceView = z
  .object({ ...publicFields, details: namespaceDetails.exactOptional() })
  .meta({ id: 'Namespace', description: 'The public view of a namespace.' });

const queueName = z
  .string()
  .meta({ description: 'The whole name of the queue.', examples: ['queue/taskcluster-builds/tasks'] });

const rate = (description: string, example: number): z.ZodNumber =>
  z.number().meta({ description, examples: [example] });

const nextThreshold = z
  .object({
    action: z.enum(['warn', 'delete', 'purge', 'leave']).meta({
      description: 'What the agents do there: warn the owner, or delete, purge or leave the queue.',
      examples: ['warn'],
    }),
    unit: z.enum(['messages', 'bytes']).meta({ description: 'In what it is counted.', examples: ['messages'] }),
    at: amount('The threshold.', 2000),
    reachedAt: instantText('An instant.')
      .nullable()
      .meta({
        description:
          'When the queue reaches it at its present rate, or was seen to have reached it. Null: not at this rate; absent: the rate is unknown.',
        examples: ['2026-11-24T13:10:00.000Z'],
      })
      .exactOptional(),
  })
  .meta({ description: 'The threshold that the queue reaches next. Absent: none, or nothing is known of its depth.' });

const describedQueue = z.object({
  queue: queueName,
  state: z.string().meta({
    description:
      'watched: its owner is warned when it grows too large; warned: its owner was warned; deleting: the agents delete or purge it now; exempt: a setting excludes it; unclaimed: the namespace is being deleted. Later agents may have others.',
    examples: ['watched'],
  }),
  messages: amount(
    'All its messages. Absent where its depth is unknown: a stream, or a queue that is down.',
    1200,
  ).exactOptional(),
  ready: amount('Its messages that wait for a consumer.', 1100).exactOptional(),
  unacknowledged: amount('Its messages that consumers have not acknowledged.', 100).exactOptional(),
  bytes: amount('The size of the bodies of its messages, in bytes.', 614400).exactOptional(),
  consumers: amount('The number of its consumers. Up to some seconds old, as `bytes`.', 2).exactOptional(),
  growingSince: instantText(
    'The observation since which `messagesPerMinute` is measured. Absent where the rate is unknown.',
    '2026-11-24T12:29:00.000Z',
  ).exactOptional(),
  messagesPerMinute: rate('By how much its messages grow in a minute; negative while it shrinks.', 20).exactOptional(),
  bytesPerMinute: rate('By how many bytes it grows in a minute.', 10240).exactOptional(),
  next: nextThreshold.exactOptional(),
  rule: z
    .string()
    .meta({
      description:
        'The rule that holds for it, by its place in the settings of the agents, or default. Absent in answers of older agents.',
      examples: ['queues.0'],
    })
    .exactOptional(),
  limits: z
    .object({
      warnAtMessages: amount('The messages at which its owner is warned.', 4000),
      deleteAtMessages: amount('The messages at which `onOvergrown` is done.', 8000),
      warnAtBytes: amount(
        'The bytes at which its owner is warned. Absent: bytes are not watched.',
        1e9,
      ).exactOptional(),
      deleteAtBytes: amount('The bytes at which `onOvergrown` is done.', 2e9).exactOptional(),
      onOvergrown: z.string().meta({
        description: 'delete, purge (its ready messages are deleted) or leave. Later agents may have others.',
        examples: ['delete'],
      }),
    })
    .meta({ description: 'What it may hold, by that rule and by `queueLimits`. Absent as `rule`.' })
    .exactOptional(),
  warnedSince: instantText('Since when its owner is warned.', '2026-11-24T12:20:00.000Z').exactOptional(),
  exemptUntil: instantText(
    'Until when an operator exempted it from deletion.',
    '2026-11-25T12:00:00.000Z',
  ).exactOptional(),
  trend: z.array(z.int().nonnegative().nullable()).meta({
    description: 'Its messages at each of the instants of `observedAt`; null where they are unknown.',
    examples: [[1180, 1200]],
  }),
});

const alert = z.object({
  queue: queueName,
  state: z.string().meta({
    description: 'warned, or deleting: see the states of queues. Later agents may have others.',
    examples: ['warned'],
  }),
  since: instantText('When the agents took this step.', '2026-11-24T12:20:00.000Z'),
  messages: amount('The messages that led to it.', 2000),
  bytes: amount('The bytes, as far as they were known.', 1024000).exactOptional(),
});

const auditEntry = z.object({
  at: instantText('When it was done.'),
  action: z.string().meta({
    description: 'What was done: claim, rotation, revocation, queue-deletion and so on. Later agents may have others.',
    examples: ['claim'],
  }),
  by: z.string().meta({
    description: 'client: a Taskcluster client by a request; agent; operator: at the command line.',
    examples: ['client'],
  }),
  clientId: z
    .string()
    .meta({
      description: 'That client, if it is the holder or the client that asks. The names of others are left out.',
      examples: ['project/builds/worker'],
    })
    .exactOptional(),
  subject: z
    .string()
    .meta({
      description:
        'The account, queue or exchange of the namespace that was acted on. Absent: the namespace as a whole.',
      examples: ['taskcluster-builds-2'],
    })
    .exactOptional(),
  outcome: z.string().meta({ description: 'done, or another outcome.', examples: ['done'] }),
  reason: z
    .string()
    .meta({ description: 'Why, for people. Absent where an operator wrote it.', examples: ['rotation due'] })
    .exactOptional(),
});

/** The result of `describe-namespace`. */
export const namespaceDescription = z
  .object({
    ...publicFields,
    ...holdingFields,
    refusedUntil: instantText(
      'Until when claims are refused, after a revocation. Absent if they are not refused.',
      '2026-11-25T12:00:00.000Z',
    ).exactOptional(),
    connections: amount(
      'The number of open connections of its accounts. Absent while it is unknown.',
      2,
    ).exactOptional(),
    queueLimits: claimedLimits
      .meta({
        description: 'The limits that the latest claim with any asked for. Absent if there was none.',
        examples: [{ deleteAtMessages: 40_000 }],
      })
      .exactOptional(),
    observedAt: z
      .array(instantText('An instant.', '2026-11-24T12:30:00.000Z'))
      .meta({
        description:
          'When this agent observed the queues, in ascending order: the last instant is that of all amounts, the earlier ones are those of `trend`. Absent, as `queues`, while nothing is known of them.',
        examples: [['2026-11-24T12:29:00.000Z', '2026-11-24T12:30:00.000Z']],
      })
      .exactOptional(),
    queues: z
      .array(describedQueue)
      .meta({ description: 'Its queues, the deepest first, at most 100.' })
      .exactOptional(),
    moreQueues: z
      .boolean()
      .meta({ description: 'Whether it has more queues. Absent as `queues`.', examples: [false] })
      .exactOptional(),
    alerts: z.array(alert).meta({
      description:
        'Its queues that have grown too large, at most 100, in the order of their names. A queue may be among them that RabbitMQ does not list.',
    }),
    audit: z.array(auditEntry).meta({ description: 'Its latest 20 audit records, the newest first.' }),
  })
  .meta({ id: 'NamespaceDescription', description: 'A namespace as those see it who may claim or describe it.' });
