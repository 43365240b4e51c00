import * as z from 'zod';
import { instantText } from '../contract/fields.ts';

/** The schemas that answers share. What is unknown is absent, or null in lists: never 0. */

export const at = instantText('Of when the answer is: it may be some seconds old.', '2026-11-24T12:30:00.000Z');

export const count = (description: string, example: number): z.ZodInt =>
  z
    .int()
    .nonnegative()
    .meta({ description, examples: [example] });

export const text = (description: string, example: string): z.ZodString =>
  z.string().meta({ description, examples: [example] });

export const namespaceName = text('The namespace.', 'taskcluster-builds');

export const queueText = text('The whole name of the queue.', 'queue/taskcluster-builds/tasks');

export const instanceText = text('Which of the agents.', 'agent-7c9f-1b2c3d4e');

export const total = count('How many match, on all pages.', 412);

const MAX_TEXT_LENGTH = 300;
const TEXT_RULE = `must have 1 to ${MAX_TEXT_LENGTH} characters`;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/** A parameter of a query. Parameters are texts, as a URL has them. */
export const textParameter = (description: string, example: string): z.ZodString =>
  z
    .string({ error: 'must be given' })
    .min(1, { error: TEXT_RULE })
    .max(MAX_TEXT_LENGTH, { error: TEXT_RULE })
    .meta({ description, examples: [example] });

export const instantParameter = (description: string): z.ZodOptional<z.ZodString> =>
  instantText(description).optional();

/** A whole number in a query. */
export function numberParameter(description: string, { min, max, initial }: Record<'min' | 'max' | 'initial', number>) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .string({ error })
    .regex(/^\d{1,7}$/, { error })
    .refine((digits) => Number(digits) >= min && Number(digits) <= max, { error })
    .meta({ description: `${description} ${initial} when absent, at most ${max}.`, examples: [String(initial)] })
    .default(String(initial))
    .transform(Number);
}

/** Which page of a list, and in which order. */
export const pageParameters = {
  order: z
    .enum(['asc', 'desc'])
    .meta({
      description:
        'asc: the smallest amount, the earliest instant or the first name comes first. What is unknown comes last in both. When absent: amounts desc, the rest asc.',
      examples: ['desc'],
    })
    .optional(),
  search: textParameter('Only where a name has this text in it, in any case of letters.', 'builds').optional(),
  offset: numberParameter('How many to leave out.', { min: 0, max: 1_000_000, initial: 0 }),
  limit: numberParameter('How many to return.', { min: 1, max: MAX_LIMIT, initial: DEFAULT_LIMIT }),
};
