import * as z from 'zod';
import { instantText } from '../contract/fields.ts';
import { auditView } from './audit-schemas.ts';
import { at, count, namespaceName, pageParameters, queueText, text, textParameter, total } from './field-schemas.ts';
import { planStep } from './plan-schemas.ts';
import { commandView, queueRow, trendInstants } from './queue-schemas.ts';

export const SHOWN_STATES = ['provisioning', 'active', 'expiring'] as const;

/** What every place says of a namespace. */
const namespaceFields = {
  namespace: namespaceName,
  state: z.enum(SHOWN_STATES).meta({
    description:
      'provisioning: its account is being created or its credentials replaced; active: its credentials work; expiring: it is being deleted.',
    examples: ['active'],
  }),
  holder: text('The clientId of the latest claim.', 'project/builds/worker'),
  created: instantText('When it was first claimed in this incarnation.'),
  expires: instantText('When it is deleted unless it is claimed again.', '2026-11-24T16:00:00.000Z'),
  lastClaim: instantText('When the latest claim was made. Absent: no agent recorded it.').exactOptional(),
  reclaimBy: instantText(
    'Until when the credentials that were handed out last work: its client claims again by then. Absent: none were.',
    '2026-11-24T13:30:00.000Z',
  ).exactOptional(),
  nextRotation: instantText(
    'When its credentials change. Absent while it is deleted.',
    '2026-11-24T13:00:00.000Z',
  ).exactOptional(),
  queues: count('The number of its queues. Absent, as all counts: unknown.', 3).exactOptional(),
  messages: count('The messages in them, without those of `uncountedQueues`.', 1200).exactOptional(),
  uncountedQueues: count('Its queues whose depth is unknown. Absent: none.', 1).exactOptional(),
  connections: count('The open connections of its accounts.', 2).exactOptional(),
  blockedBy: text(
    'What its deletion waits for, as a clause. Absent: nothing.',
    'an operator exempted its queue queue/taskcluster-builds/tasks until 2026-11-25T12:00:00.000Z',
  ).exactOptional(),
};

const namespaceRow = z.strictObject(namespaceFields);

const NAMESPACE_SORTS = [
  'namespace',
  'state',
  'holder',
  'created',
  'expires',
  'reclaimBy',
  'nextRotation',
  'queues',
  'messages',
  'connections',
] as const;

export const namespacesQuery = z.strictObject({
  ...pageParameters,
  search: textParameter('Only where the name or the holder has this text in it.', 'builds').optional(),
  sort: z
    .enum(NAMESPACE_SORTS)
    .default('namespace')
    .meta({ description: 'By what to sort.', examples: ['expires'] }),
  state: z
    .enum(SHOWN_STATES)
    .meta({ description: 'Only those in this state.', examples: ['active'] })
    .optional(),
});

export const namespacesAnswer = z.strictObject({
  at,
  countsAt: instantText('Of when the counts are. Absent: unknown.').exactOptional(),
  total,
  items: z.array(namespaceRow),
});

export const namespaceQuery = z.strictObject({ name: textParameter('The namespace.', 'taskcluster-builds') });

const accountView = z.strictObject({
  account: text('The RabbitMQ user.', 'taskcluster-builds-1'),
  isActive: z.boolean().meta({ description: 'Whether its credentials are handed out now.', examples: [true] }),
  generation: count('The generation of its password. 0: it was not created yet.', 7),
  secretId: text(
    'Which agent secret its password is derived from; it reveals nothing of it.',
    'a1b2c3d4',
  ).exactOptional(),
  promisedUntil: instantText(
    'Until when clients were promised that its password works. Absent: none was.',
  ).exactOptional(),
});

export const namespaceAnswer = z.strictObject({
  at,
  ...namespaceFields,
  generation: count('A counter of rotations. A revocation raises it by 2.', 7),
  accounts: z.array(accountView),
  lastRotation: auditView
    .exactOptional()
    .meta({ description: 'The latest rotation or revocation that the audit has: who did it, when and why.' }),
  refusedUntil: instantText('Until when claims are refused, after a revocation. Absent: they are not.').exactOptional(),
  revoked: instantText('When it was last revoked. Absent: not in this incarnation.').exactOptional(),
  failures: z
    .array(
      z.strictObject({
        work: text('What failed.', 'rotation'),
        failures: count('How often in a row.', 2),
        error: text('The code of the error.', 'BrokerUnavailable'),
        retryAt: instantText('When it is tried again.'),
        instance: text('The agent on which it failed.', 'agent-7c9f-1b2c3d4e'),
      }),
    )
    .meta({ description: 'Work for it that fails and is tried again.' }),
  openConnections: z
    .array(
      z.strictObject({
        account: text('The RabbitMQ user.', 'taskcluster-builds-1'),
        since: instantText('When it was opened. Absent: unknown.').exactOptional(),
      }),
    )
    .exactOptional()
    .meta({ description: 'Its connections, the oldest first, at most 100. Absent: unknown.' }),
  trendAt: trendInstants,
  queueRows: z.array(queueRow).meta({
    description: 'Its queues, the deepest first, at most 100. Empty with an empty `trendAt`: they are unknown.',
  }),
  planned: z.array(planStep),
  audit: z.array(auditView).meta({ description: 'Its latest 20 audit records, the newest first.' }),
  exemptions: z.array(
    z.strictObject({
      queue: queueText,
      until: instantText('Until when it is exempt from deletion.'),
      reason: text('What the operator gave as the reason.', 'the consumer is being mended').exactOptional(),
    }),
  ),
  commands: z.array(commandView).meta({ description: 'What can be done about it, to copy.' }),
});

export type NamespaceRow = z.output<typeof namespaceRow>;
export type NamespacesQuery = z.output<typeof namespacesQuery>;
export type NamespacesAnswer = z.output<typeof namespacesAnswer>;
export type NamespaceAnswer = z.output<typeof namespaceAnswer>;
