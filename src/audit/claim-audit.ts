import { hash } from 'node:crypto';
import { formatInstant } from '../contract/fields.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import type { Audit } from './audit.ts';

/** A holder renews every hour or so; one record a day shows that it still does. */
const RENEWAL_EVERY_SECONDS = 24 * 60 * 60;

/** The holders that are remembered, in two megabytes. The renewals of a forgotten one are recorded once more. */
const MAX_HOLDERS = 20_000;

/** The outcome of a claim, as far as the audit uses it. */
export interface AuditedClaim {
  readonly record: NamespaceRecord;
  readonly reclaimAtMs: number;
  readonly isNew: boolean;
  readonly isNewHolder: boolean;
  readonly isNewContact: boolean;
  readonly hasNewLimits: boolean;
}

interface ClaimRequester {
  readonly clientId: string;
  readonly userId: string | undefined;
  readonly correlationId: string;
}

/**
 * Returns a function that records claims: each first claim, each that changes the contact or the limits of queues, and of the rest one a day for each
 * client and user that hold a namespace. Renewals are by far the most of what an agent does, and each is in the log anyway.
 */
export function createClaimAudit({
  audit,
  clock,
}: {
  readonly audit: Pick<Audit, 'record'>;
  readonly clock: Clock;
}): (claim: AuditedClaim, requester: ClaimRequester) => void {
  /** When each holder was last recorded. Digests and whole seconds take half the memory of what they stand for. */
  const holders = new BoundedMap<string, number>({ maxSize: MAX_HOLDERS });
  return (claim, { clientId, userId, correlationId }) => {
    const { record, reclaimAtMs, isNew, isNewContact, hasNewLimits } = claim;
    const holder = hash(
      'sha256',
      JSON.stringify([record.namespace, record.incarnation, clientId, userId]),
      'base64url',
    );
    const nowSeconds = Math.floor(clock.monotonicMs() / 1000);
    const isRecent = (holders.get(holder) ?? -Infinity) + RENEWAL_EVERY_SECONDS > nowSeconds;
    if (isRecent && !isNew && !isNewContact && !hasNewLimits) return;
    holders.set(holder, nowSeconds);
    audit.record({
      action: 'claim',
      actor: 'client',
      actorName: clientId,
      userId: userId ?? null,
      namespace: record.namespace,
      requestId: correlationId,
      reason: reasonOf(claim),
      details: {
        expires: formatInstant(record.expiresMs),
        reclaimAt: formatInstant(reclaimAtMs),
        ...(record.queueLimits === undefined ? {} : { queueLimits: JSON.stringify(record.queueLimits) }),
      },
    });
  };
}

function reasonOf({ isNew, isNewContact, isNewHolder, hasNewLimits }: AuditedClaim): string {
  if (isNew) return 'first claim';
  if (isNewContact) return 'contact changed';
  if (hasNewLimits) return 'limits of queues changed';
  return isNewHolder ? 'claimed by another client' : 'renewal, recorded once a day';
}
