import * as z from 'zod';

const RULE = 'must be a whole number of at least 1';
const limit = (description: string, example: number) =>
  z
    .int({ error: RULE })
    .min(1, { error: RULE })
    .meta({ description, examples: [example] })
    .exactOptional();

/** The limits that a claim asks for, instead of those of the rules for its queues. What is absent stays as in the rule. */
export const claimedLimits = z
  .strictObject(
    {
      warnAtMessages: limit('The depth at which the owner of a queue is warned.', 20_000),
      deleteAtMessages: limit('The depth at which a queue is deleted, or what the rule says instead.', 40_000),
      warnAtBytes: limit('The size at which the owner of a queue is warned.', 4_294_967_296),
      deleteAtBytes: limit('The size at which a queue is deleted.', 8_589_934_592),
    },
    { error: 'must be an object with limits, or null' },
  )
  .meta({ id: 'QueueLimits', description: 'What each queue of a namespace may hold.' });

/** See {@link claimedLimits}. */
export type ClaimedLimits = z.output<typeof claimedLimits>;

/** The limits in a claim. */
export const queueLimitsField = claimedLimits.nullable().meta({
  description:
    'Higher limits for the queues of the namespace, within what the operators allow. Omitted: the stored ones stay; null: those of the rules hold.',
  examples: [{ deleteAtMessages: 40_000 }],
});
