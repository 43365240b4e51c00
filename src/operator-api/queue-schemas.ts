import * as z from 'zod';
import { instantText } from '../contract/fields.ts';
import { OVERGROWN_ACTIONS } from '../config/queue-rules.ts';
import { QUEUE_ORDERS } from '../queues/queue-report.ts';
import { at, count, namespaceName, pageParameters, queueText, text, textParameter, total } from './field-schemas.ts';

export const QUEUE_STATES = ['watched', 'warned', 'deleting', 'exempt', 'unclaimed'] as const;

const queueState = z.enum(QUEUE_STATES).meta({
  description:
    'watched: its owner is warned when it grows too large; warned: its owner was warned; deleting: the agents delete or purge it now; exempt: a setting excludes it; unclaimed: no client holds its namespace.',
  examples: ['watched'],
});

const rate = (description: string, example: number): z.ZodNumber =>
  z.number().meta({ description, examples: [example] });

const nextThresholdView = z
  .strictObject({
    action: z
      .enum(['warn', 'delete', 'purge', 'leave'])
      .meta({ description: 'What the agents do there.', examples: ['delete'] }),
    unit: z.enum(['messages', 'bytes']).meta({ description: 'In what it is counted.', examples: ['messages'] }),
    at: count('The threshold.', 8000),
    reachedAt: instantText('An instant.')
      .nullable()
      .meta({
        description:
          'When the queue reaches it at its present rate, or was seen to have reached it. Null: not at this rate; absent: the rate is unknown.',
        examples: ['2026-11-24T13:10:00.000Z'],
      })
      .exactOptional(),
  })
  .meta({ description: 'The threshold that the queue reaches next. Absent: none, or its depth is unknown.' });

/** What every place says of a queue. */
const queueFields = {
  queue: queueText,
  namespace: namespaceName,
  state: queueState,
  messages: count('All its messages. Absent: unknown, as of a stream or a queue that is down.', 1200).exactOptional(),
  ready: count('Its messages that wait for a consumer.', 1100).exactOptional(),
  unacknowledged: count('Its messages that consumers have not acknowledged.', 100).exactOptional(),
  bytes: count('The size of the bodies of its messages, in bytes.', 614400).exactOptional(),
  consumers: count('The number of its consumers.', 2).exactOptional(),
  messagesPerMinute: rate('By how much its messages grow in a minute; negative: it shrinks.', 20).exactOptional(),
  bytesPerMinute: rate('By how many bytes it grows in a minute.', 10240).exactOptional(),
  next: nextThresholdView.exactOptional(),
  warnedSince: instantText('Since when its owner is warned.').exactOptional(),
  exemptUntil: instantText('Until when an operator exempted it from deletion.').exactOptional(),
  rule: text('The rule that its thresholds are of: its place in the settings, or default.', 'queues.0'),
};

export const queueRow = z.strictObject({
  ...queueFields,
  trend: z.array(z.int().nonnegative().nullable()).meta({
    description: 'Its messages at each of the instants of `trendAt`. Null: unknown.',
    examples: [[900, 1200]],
  }),
});

/** The instants of the trends of an answer. */
export const trendInstants = z
  .array(instantText('An instant.'))
  .max(30)
  .meta({
    description: 'The instants of the trends, from the oldest on.',
    examples: [['2026-11-24T12:00:00.000Z', '2026-11-24T12:30:00.000Z']],
  });

const QUEUE_SORTS = [...QUEUE_ORDERS, 'namespace', 'state', 'ready', 'unacknowledged', 'consumers'] as const;

export const queuesQuery = z.strictObject({
  ...pageParameters,
  sort: z
    .enum(QUEUE_SORTS)
    .default('messages')
    .meta({ description: 'By what to sort.', examples: ['growth'] }),
  namespace: textParameter('Only those of this namespace.', 'taskcluster-builds').optional(),
  state: z
    .enum([...QUEUE_STATES, 'alert'])
    .meta({ description: 'Only those in this state; alert: warned or deleting.', examples: ['alert'] })
    .optional(),
});

export const queuesAnswer = z.strictObject({ at, total, trendAt: trendInstants, items: z.array(queueRow) });

export const queueHistoryQuery = z.strictObject({
  queue: textParameter('The whole name of the queue.', 'queue/taskcluster-builds/tasks'),
});

const historyPoint = z
  .tuple([
    instantText('When it was observed.'),
    z.int().nonnegative().nullable(),
    z.int().nonnegative().nullable(),
    z.int().nonnegative().nullable(),
  ])
  .meta({
    description: 'The instant, all messages, those that are ready and those that are unacknowledged. Null: unknown.',
    examples: [['2026-11-24T12:30:00.000Z', 1200, 1100, 100]],
  });

export const queueHistoryAnswer = z.strictObject({
  at,
  ...queueFields,
  limits: z
    .strictObject({
      warnAtMessages: count('At how many messages its owner is warned.', 4000),
      deleteAtMessages: count('At how many messages it is deleted.', 8000),
      warnAtBytes: count('At which size its owner is warned. Absent: bytes are not watched.', 1e9).exactOptional(),
      deleteAtBytes: count('At which size it is deleted.', 2e9).exactOptional(),
      onOvergrown: z
        .enum(OVERGROWN_ACTIONS)
        .meta({ description: 'What is done there: delete, purge or leave it.', examples: ['delete'] })
        .exactOptional(),
    })
    .meta({ description: 'Its thresholds.' }),
  points: z.array(historyPoint).meta({ description: 'Its depth over the last hours, from the oldest on.' }),
});

/** A queue in a list. */
export type QueueRow = z.output<typeof queueRow>;
export type QueuesQuery = z.output<typeof queuesQuery>;
export type QueuesAnswer = z.output<typeof queuesAnswer>;
export type QueueHistoryAnswer = z.output<typeof queueHistoryAnswer>;

/** A command that an operator may copy. */
export const commandView = z.strictObject({
  what: text('What it does.', 'exempt the queue from deletion for a day'),
  command: text(
    'The command, quoted for a POSIX shell.',
    'pulse-agent exempt queue/taskcluster-builds/tasks --until 24h',
  ),
});
export type CommandView = z.output<typeof commandView>;
