import * as z from 'zod';
import { instantText } from '../contract/fields.ts';
import { AUDIT_ACTIONS } from '../store/audit-records.ts';
import {
  at,
  count,
  instanceText,
  instantParameter,
  namespaceName,
  pageParameters,
  text,
  textParameter,
} from './field-schemas.ts';

/** When the record before was made, in ms since the epoch, and its id. */
export const AUDIT_CURSOR = /^(\d{1,15})\.(.+)$/s;

const detail = z
  .union([z.string(), z.number(), z.boolean()])
  .meta({ description: 'A detail, as docs/monitoring.md says of its kind of record.', examples: [7] });

/** The details that are shown: of others nothing is known to be safe. */
const auditDetails = z
  .strictObject({
    ageSeconds: detail.exactOptional(),
    bytes: detail.exactOptional(),
    deleteAtBytes: detail.exactOptional(),
    deleteAtMessages: detail.exactOptional(),
    exchanges: detail.exactOptional(),
    expires: detail.exactOptional(),
    fromGeneration: detail.exactOptional(),
    generation: detail.exactOptional(),
    messages: detail.exactOptional(),
    nextRotation: detail.exactOptional(),
    node: detail.exactOptional(),
    queues: detail.exactOptional(),
    reclaimAt: detail.exactOptional(),
    repaired: detail.exactOptional(),
    revokedUntil: detail.exactOptional(),
    suppressed: detail.exactOptional(),
    toGeneration: detail.exactOptional(),
    until: detail.exactOptional(),
    version: detail.exactOptional(),
  })
  .meta({ description: 'What belongs to records of its kind.' });

export const DETAIL_NAMES = Object.keys(auditDetails.shape) as (keyof z.output<typeof auditDetails>)[];

export const auditView = z.strictObject({
  id: text('Unique.', '6f9a1c0e-3c3f-4a50-9b2e-0a4a7d0f6c11'),
  at: instantText('When it was done.'),
  action: text('What was done.', 'rotation'),
  by: text('Who decided: client, agent or operator.', 'client'),
  who: text('The clientId, the instance of the agent, or the account of the operator.', 'project/builds/worker'),
  instance: instanceText.meta({ description: 'The agent that recorded it.' }),
  namespace: namespaceName.exactOptional(),
  subject: text(
    'The account or queue that was acted on. Absent: the namespace as a whole, or a connection, whose name has addresses.',
    'taskcluster-builds-2',
  ).exactOptional(),
  reason: text('Why.', 'rotation due'),
  outcome: text('done, or another outcome.', 'done'),
  requestId: text('The correlation id of the request.', 'b7a1').exactOptional(),
  details: auditDetails,
});

export const auditQuery = z.strictObject({
  namespace: textParameter('Only of this namespace.', 'taskcluster-builds').optional(),
  action: z
    .enum(AUDIT_ACTIONS)
    .meta({ description: 'Only of this kind.', examples: ['rotation'] })
    .optional(),
  who: textParameter('Only where the name of who decided has this text in it.', 'project/builds').optional(),
  since: instantParameter('Only at or after this.'),
  until: instantParameter('Only before this.'),
  after: textParameter('The `next` of the previous page.', '1795521600000.6f9a1c0e')
    .refine((cursor) => AUDIT_CURSOR.test(cursor), { error: 'must be the `next` of a page' })
    .optional(),
  limit: pageParameters.limit,
});

export const auditAnswer = z.strictObject({
  at,
  items: z.array(auditView).meta({ description: 'The newest first.' }),
  next: text('What `after` the next page has. Absent on the last one.', '1795521600000.6f9a1c0e').exactOptional(),
  scanned: count('How many records were read. With `next` and few items, older ones may match.', 1000),
});

export type AuditView = z.output<typeof auditView>;
export type AuditApiQuery = z.output<typeof auditQuery>;
export type AuditAnswer = z.output<typeof auditAnswer>;
