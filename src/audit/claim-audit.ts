import { hash } from 'node:crypto';
import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import { formatInstant } from '../contract/fields.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { Audit } from './audit.ts';
import type { Requester } from '../requests/method.ts';

/** A holder renews every hour or so; once a day says that it is still the one. */
const RENEWAL_EVERY_SECONDS = 24 * 60 * 60;

/** Holders that are remembered: two megabytes. One that is forgotten is written down once more. */
const MOST_HOLDERS = 20_000;

/** A claim that was served, as far as the audit is about it. */
export interface AuditedClaim {
  readonly record: NamespaceRecord;
  readonly reclaimAtMs: number;
  readonly isNew: boolean;
  readonly isNewHolder: boolean;
  readonly isNewContact: boolean;
}

/** What {@link createClaimAudit} works with. */
export interface ClaimAuditParts {
  readonly audit: Pick<Audit, 'record'>;
  readonly clock: Clock;
}

/**
 * Makes the function that writes claims down: each first one and each that changes the contact, and of all others one a
 * day for each client and user that hold the namespace. Renewals are by far the most of what an agent does; each of them
 * is a line in the log as a request.
 */
export function createClaimAudit({ audit, clock }: ClaimAuditParts): (claim: AuditedClaim, asked: Requester) => void {
  /** When each holder was written down, the latest last. Digests and whole seconds take half the memory of what they stand for. */
  const holders = new BoundedMap<string, number>({ maxSize: MOST_HOLDERS });
  return ({ record, reclaimAtMs, isNew, isNewHolder, isNewContact }, { clientId, userId, correlationId }) => {
    const holder = JSON.stringify([record.namespace, record.incarnation, clientId, userId]);
    const key = hash('sha256', holder, 'base64url');
    const nowSeconds = Math.floor(clock.monotonicMs() / 1000);
    const isKnown = (holders.get(key) ?? -Infinity) + RENEWAL_EVERY_SECONDS > nowSeconds;
    if (isKnown && !isNew && !isNewContact) return;
    holders.set(key, nowSeconds);
    audit.record({
      action: 'claim',
      actor: 'client',
      actorName: clientId,
      userId: userId ?? null,
      namespace: record.namespace,
      requestId: correlationId,
      reason: isNew
        ? 'first claim'
        : isNewContact
          ? 'claim with another contact'
          : isNewHolder
            ? 'claim by another client than before'
            : 'renewal, written down once a day',
      details: { expires: formatInstant(record.expiresMs), reclaimAt: formatInstant(reclaimAtMs) },
    });
  };
}
