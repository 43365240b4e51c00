import { readFormerStoreIds } from '../../broker/marker.ts';
import type { BrokerUser } from '../../broker/management/management.ts';
import { storesOfTags } from '../../broker/store-tag.ts';
import { WireError } from '../../contract/wire-errors.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { BoundedMap } from '../../util/bounded-map.ts';
import { untilAborted } from '../../util/deadline.ts';
import { createKeptResult } from '../../util/kept-result.ts';
import { accountNames } from '../accounts/account-names.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { listObjectOwners } from '../owned-objects.ts';
import type { ClaimInput } from './decide-claim.ts';
import { decideFirstClaim, type Refusal } from './decide-first-claim.ts';

/** For this long all first claims share one listing of the queues and exchanges, in ms, unless it takes long. */
const LISTING_KEPT_MS = 5_000;

/** A listing of 100,000 queues takes seconds: such ones are shared for longer, in ms, and take a tenth of the time at most. */
const MAX_LISTING_KEPT_MS = 60_000;
const KEPT_FOR_EACH_MS = 20;

function listingKeptMs(tookMs: number): number {
  return Math.min(Math.max(LISTING_KEPT_MS, KEPT_FOR_EACH_MS * tookMs), MAX_LISTING_KEPT_MS);
}

/** The refused names that are remembered. A forgotten one is reported once more. */
const MAX_REFUSALS = 10_000;

/**
 * Checks that a first claim takes over nothing that is there. It writes nothing, and comes before every write.
 *
 * @param tombstone the record of the deleted namespace with this name
 * @throws WireError `RequestConflict`; AgentError `BrokerUnavailable`
 */
export type CheckFirstClaim = (
  claim: ClaimInput,
  tombstone: NamespaceRecord | undefined,
  signal: AbortSignal,
) => Promise<void>;

/** Creates the check of an installation. It reports each refused name once, until the reason changes. */
export function createFirstClaimCheck({
  config,
  management,
  clock,
  storeId,
  reporters,
}: Pick<NamespaceContext, 'config' | 'management' | 'clock' | 'storeId' | 'reporters'>): CheckFirstClaim {
  const { vhost, usernamePrefix } = config;
  const reported = new BoundedMap<string, Refusal['reason']>({ maxSize: MAX_REFUSALS });
  // Without the signal of one claim: other claims wait for the listing, too.
  const owners = createKeptResult(() => listObjectOwners(management, vhost), listingKeptMs, clock);

  const findUsers = async (namespace: string, signal: AbortSignal): Promise<BrokerUser[]> => {
    const names = accountNames(usernamePrefix, namespace);
    const users = await Promise.all(names.map((name) => management.getUser(name, { signal })));
    return users.filter((user) => user !== undefined);
  };

  /** The stores that this one replaced are only read where a user is of another store. */
  const storeIdsFor = async (users: readonly BrokerUser[], signal: AbortSignal): Promise<ReadonlySet<string>> => {
    const stores = users.flatMap(({ tags }) => storesOfTags(tags));
    if (stores.every((store) => store === storeId)) return new Set([storeId]);
    return new Set([storeId, ...(await readFormerStoreIds(management, config, { signal }))]);
  };

  /** A queue or exchange of a name. What the agents deleted a moment ago may be in the shared listing. */
  const findObject = async (
    namespace: string,
    hasTombstone: boolean,
    signal: AbortSignal,
  ): Promise<string | undefined> => {
    const object = (await untilAborted(owners.get(), signal)).get(namespace);
    if (object === undefined || !hasTombstone) return object;
    return (await untilAborted(owners.renew(), signal)).get(namespace);
  };

  const report = ({ namespace, claimedBy }: ClaimInput, { reason, subject }: Refusal): void => {
    if (reported.get(namespace) === reason) return;
    reported.set(namespace, reason);
    reporters.namespaceRefused({ namespace, clientId: claimedBy, reason, subject });
  };

  return async (claim, tombstone, signal) => {
    const { namespace } = claim;
    const hasTombstone = tombstone !== undefined;
    const [users, object] = await Promise.all([
      findUsers(namespace, signal),
      findObject(namespace, hasTombstone, signal),
    ]);
    const found = { namespace, users, object, hasTombstone };
    const refusal = decideFirstClaim(found, await storeIdsFor(users, signal));
    if (refusal === undefined) {
      reported.delete(namespace);
      return;
    }
    report(claim, refusal);
    throw new WireError('RequestConflict', refusal.message, { retryable: refusal.retryable });
  };
}
