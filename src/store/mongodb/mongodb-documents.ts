import type { QueueAlert } from '../queue-alert-records.ts';
import type { NamespaceRecord, NonceEntry, Slot } from '../namespace-record.ts';

/** An instant as MongoDB keeps it, so that a person who looks into the database can read it. */
type Instant = Date;

interface SlotDocument extends Omit<Slot, 'promisedUntilMs'> {
  readonly promisedUntil: Instant;
}

/** A {@link NamespaceRecord} in MongoDB; the namespace is the `_id`, because that is unique without any index. */
export interface NamespaceDocument
  extends Omit<
    NamespaceRecord,
    | 'namespace'
    | 'slots'
    | 'createdMs'
    | 'expiresMs'
    | 'nextRotationMs'
    | 'revokedUntilMs'
    | 'revokedMs'
    | 'deletedAtMs'
    | 'expiryNotifiedForMs'
    | 'recheckAtMs'
  > {
  readonly _id: string;
  readonly slots: readonly [SlotDocument, SlotDocument];
  readonly created: Instant;
  readonly expires: Instant;
  readonly nextRotation: Instant;
  readonly revokedUntil: Instant | null;
  readonly revoked: Instant | null;
  readonly deletedAt: Instant | null;
  readonly expiryNotifiedFor: Instant;
  readonly recheckAt: Instant | null;
}

/** A {@link NonceEntry} in MongoDB. */
export interface NonceDocument extends Omit<NonceEntry, 'key' | 'firstSeenMs' | 'acceptableUntilMs'> {
  readonly _id: string;
  readonly firstSeen: Instant;
  readonly acceptableUntil: Instant;
}

/** A {@link QueueAlert} in MongoDB. */
export interface QueueAlertDocument extends Omit<QueueAlert, 'queue' | 'seenMs' | 'changedMs'> {
  readonly _id: string;
  readonly seen: Instant;
  readonly changed: Instant;
}

export function toNamespaceDocument(record: NamespaceRecord): NamespaceDocument {
  const {
    namespace,
    slots,
    createdMs,
    expiresMs,
    nextRotationMs,
    revokedUntilMs,
    revokedMs,
    deletedAtMs,
    expiryNotifiedForMs,
    recheckAtMs,
    ...same
  } = record;
  return {
    _id: namespace,
    ...same,
    slots: [toSlotDocument(slots[0]), toSlotDocument(slots[1])],
    created: new Date(createdMs),
    expires: new Date(expiresMs),
    nextRotation: new Date(nextRotationMs),
    revokedUntil: toInstant(revokedUntilMs),
    revoked: toInstant(revokedMs),
    deletedAt: toInstant(deletedAtMs),
    expiryNotifiedFor: new Date(expiryNotifiedForMs),
    recheckAt: toInstant(recheckAtMs),
  };
}

export function toNamespaceRecord(document: NamespaceDocument): NamespaceRecord {
  const {
    _id,
    slots,
    created,
    expires,
    nextRotation,
    revokedUntil,
    revoked,
    deletedAt,
    expiryNotifiedFor,
    recheckAt,
    ...same
  } = document;
  return {
    namespace: _id,
    ...same,
    slots: [toSlot(slots[0]), toSlot(slots[1])],
    createdMs: created.getTime(),
    expiresMs: expires.getTime(),
    nextRotationMs: nextRotation.getTime(),
    revokedUntilMs: revokedUntil?.getTime() ?? null,
    revokedMs: revoked?.getTime() ?? null,
    deletedAtMs: deletedAt?.getTime() ?? null,
    expiryNotifiedForMs: expiryNotifiedFor.getTime(),
    recheckAtMs: recheckAt?.getTime() ?? null,
  };
}

export function toNonceDocument({ key, firstSeenMs, acceptableUntilMs, ...same }: NonceEntry): NonceDocument {
  return { _id: key, ...same, firstSeen: new Date(firstSeenMs), acceptableUntil: new Date(acceptableUntilMs) };
}

export function toNonceEntry({ _id, firstSeen, acceptableUntil, ...same }: NonceDocument): NonceEntry {
  return { key: _id, ...same, firstSeenMs: firstSeen.getTime(), acceptableUntilMs: acceptableUntil.getTime() };
}

export function toQueueAlertDocument({ queue, seenMs, changedMs, ...same }: QueueAlert): QueueAlertDocument {
  return { _id: queue, ...same, seen: new Date(seenMs), changed: new Date(changedMs) };
}

export function toQueueAlert({ _id, seen, changed, ...same }: QueueAlertDocument): QueueAlert {
  return { queue: _id, ...same, seenMs: seen.getTime(), changedMs: changed.getTime() };
}

function toSlotDocument({ promisedUntilMs, ...same }: Slot): SlotDocument {
  return { ...same, promisedUntil: new Date(promisedUntilMs) };
}

function toSlot({ promisedUntil, ...same }: SlotDocument): Slot {
  return { ...same, promisedUntilMs: promisedUntil.getTime() };
}

function toInstant(instantMs: number | null): Instant | null {
  return instantMs === null ? null : new Date(instantMs);
}
