import { randomBytes } from 'node:crypto';
import type { NamespaceRecord } from '../src/store/namespace-record.ts';
import { openStore } from '../src/store/open-store.ts';
import { namespacePages } from '../src/store/paged-listing.ts';
import { systemClock } from '../src/util/clock.ts';

/** How many writes wait for one commit. */
const BATCH = 1000;

/** Writes records of `count` namespaces into a store that no agent uses. */
export async function fillStore(
  storeUrl: string,
  count: number,
  recordOf: (index: number) => NamespaceRecord,
): Promise<void> {
  const store = await openStore(storeUrl, { clock: systemClock, randomBytes });
  try {
    for (let first = 0; first < count; first += BATCH) {
      const indexes = Array.from({ length: Math.min(BATCH, count - first) }, (_, offset) => first + offset);
      await Promise.all(indexes.map((index) => store.namespaces.insert(recordOf(index))));
    }
  } finally {
    await store.close();
  }
}

/** Changes every record of a store that no agent uses, such as the instant of the next rotation. */
export async function changeStore(
  storeUrl: string,
  change: (record: NamespaceRecord) => Partial<NamespaceRecord>,
): Promise<void> {
  const store = await openStore(storeUrl, { clock: systemClock, randomBytes });
  try {
    const { signal } = new AbortController();
    for await (const page of namespacePages(store.namespaces, signal)) {
      await Promise.all(
        page.map((record) =>
          store.namespaces.replace({ ...record, ...change(record), revision: record.revision + 1 }, record.revision),
        ),
      );
    }
  } finally {
    await store.close();
  }
}

/** The record of an active namespace after its first claim. */
export function activeRecord(namespace: string, secretId = 'bench'): NamespaceRecord {
  const nowMs = Date.now();
  return {
    namespace,
    revision: 1,
    state: 'active',
    incarnation: randomBytes(16).toString('base64url'),
    generation: 1,
    slots: [
      { generation: 1, secretId, promisedUntilMs: nowMs },
      { generation: 0, secretId: '', promisedUntilMs: 0 },
    ],
    nextSecretId: secretId,
    createdMs: nowMs,
    expiresMs: nowMs + 86_400_000,
    nextRotationMs: nowMs + 3_600_000,
    contact: 'team@example.com',
    claimedBy: 'project/team/service',
    revokedUntilMs: null,
    revokedMs: null,
    permissionsVersion: 1,
    deletedAtMs: null,
    deletionReason: null,
    expiryAnnouncedForMs: 0,
    recheckAtMs: null,
  };
}
