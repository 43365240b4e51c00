import * as z from 'zod';
import { instantText } from '../contract/fields.ts';
import { at, count, namespaceName, numberParameter, queueText, text, textParameter } from './field-schemas.ts';

export const PLAN_ACTIONS = [
  'rotate',
  'replace-secret',
  'announce',
  'delete',
  'recheck',
  'warn-queue',
  'delete-queue',
  'purge-queue',
  'end-exemption',
] as const;

export const planStep = z.strictObject({
  at: instantText('When it is done. In the past or present: it is due now.', '2026-11-24T13:00:00.000Z'),
  action: z.enum(PLAN_ACTIONS).meta({
    description:
      'rotate: new credentials; replace-secret: another agent secret for the next credentials; announce: the event of the expiry; delete: the namespace and everything in it; recheck: its accounts after a revocation; warn-queue, delete-queue, purge-queue: the queue reaches that threshold; end-exemption: the exemption of a queue ends.',
    examples: ['rotate'],
  }),
  namespace: namespaceName,
  queue: queueText.exactOptional().meta({ description: 'The queue, of steps about one queue.' }),
  queues: count('How many queues a deletion deletes now. Absent: unknown.', 14).exactOptional(),
  count: count('How many steps of this kind it stands for: it is the first of them.', 412),
  last: z
    .strictObject({ at: instantText('When it is done.'), namespace: namespaceName })
    .meta({ description: 'The last of these steps. Absent where it stands for itself.' })
    .exactOptional(),
  isForecast: z.boolean().meta({
    description: 'Whether it follows from the present rate of a queue, and not from what is recorded.',
    examples: [false],
  }),
  why: text('The reason, as a clause.', 'its rotation interval ends'),
});

export const planQuery = z.strictObject({
  hours: numberParameter('How many hours to plan ahead.', { min: 1, max: 168, initial: 12 }),
  namespace: textParameter('Only this namespace, and every step by itself.', 'taskcluster-builds').optional(),
});

export const planAnswer = z.strictObject({
  at,
  until: instantText('The end of the plan.', '2026-11-25T00:30:00.000Z'),
  steps: z.array(planStep).meta({
    description:
      'What agents will do unless something else happens first, in chronological order. Steps of one kind are grouped.',
  }),
});

export type PlanStep = z.output<typeof planStep>;
export type PlanAnswer = z.output<typeof planAnswer>;
