import type { AgentContext } from '../context.ts';
import type { Store } from '../store/store.ts';
import { createKeyring } from './accounts/keyring.ts';
import { createPasswordCheck, createVerifiedHashes } from './accounts/password-check.ts';
import { createAccounts } from './accounts/provision.ts';
import { createSecretSightings, type SecretSightings } from './accounts/secret-sightings.ts';
import { createBackoff } from './backoff.ts';
import { createFirstClaimCheck } from './claim/check-first-claim.ts';
import { type ClaimNamespace, createClaim } from './claim/claim.ts';
import { createFirstClaimLimit } from './claim/limit-first-claims.ts';
import { createClockBounds } from './clock-bounds.ts';
import { createLeftovers } from './deletion/delete-leftovers.ts';
import { type AnnounceExemptions, createExemptionAnnouncer } from './deletion/announce-exemptions.ts';
import { createExemptQueues } from './deletion/exempt-queues.ts';
import { createDeletion, type DeleteNamespaces } from './deletion/delete-namespaces.ts';
import { createExpiry, type Expiry } from './deletion/expire.ts';
import { createRelease, type ReleaseNamespace } from './deletion/release.ts';
import type { NamespaceContext } from './namespace-context.ts';
import { createReconcile, type Reconcile } from './reconciliation/reconcile.ts';
import { createRepair, type Repair } from './reconciliation/repair.ts';
import { createRevoker, type Revoker } from './revocation/revoke.ts';
import { createRotation, type Rotation } from './rotation/rotate.ts';
import { intervalsOf } from './timing.ts';

/** Everything that is done for namespaces, by request or by the agent itself. */
export interface Namespaces
  extends Pick<NamespaceContext, 'intervals' | 'keyring' | 'accounts' | 'exempt' | 'backoff' | 'bounds'> {
  readonly claim: ClaimNamespace;
  readonly release: ReleaseNamespace;
  readonly secrets: SecretSightings;
  readonly revoker: Revoker;
  readonly rotation: Rotation;
  readonly expiry: Expiry;
  readonly announceExemptions: AnnounceExemptions;
  readonly delete: DeleteNamespaces;
  readonly repair: Repair;
  readonly reconcile: Reconcile;
}

/** What {@link createNamespaces} takes of the agent, and of its store only what concerns namespaces. */
export type NamespacesParts = Pick<
  AgentContext,
  'config' | 'management' | 'cluster' | 'clock' | 'sleep' | 'randomBytes' | 'random' | 'reporters'
> & { readonly store: Pick<Store, 'storeId' | 'namespaces' | 'nonces' | 'secretSightings' | 'queueExemptions'> };

/** Creates the parts of this room. Makes no call. */
export function createNamespaces(agent: NamespacesParts): Namespaces {
  const { config, clock, store, reporters } = agent;
  const { storeId } = store;
  const { usernamePrefix } = config;
  const keyring = createKeyring(config.agentSecret, config.previousAgentSecrets);
  const intervals = intervalsOf(config);
  const bounds = createClockBounds(clock, intervals, (byMs) => reporters.clockStepped(byMs));
  const context: NamespaceContext = {
    ...agent,
    store: store.namespaces,
    storeId,
    nonces: store.nonces,
    intervals,
    keyring,
    accounts: createAccounts({ ...agent, storeId, keyring }),
    backoff: createBackoff(clock, (failure) => reporters.namespaceWorkFailed(failure)),
    bounds,
    exempt: createExemptQueues(store.queueExemptions, bounds),
  };

  const secrets = createSecretSightings({ ...context, sightings: store.secretSightings });
  const deleteNamespaces = createDeletion(context);
  const leftovers = createLeftovers(context, deleteNamespaces);
  const revoker = createRevoker(context);
  const checkPassword = createPasswordCheck({ keyring, storeId, usernamePrefix });
  const repair = createRepair(context, { checkPassword, revoker, leftovers });
  return {
    intervals,
    keyring,
    accounts: context.accounts,
    backoff: context.backoff,
    bounds,
    exempt: context.exempt,
    claim: createClaim(context, {
      revoker,
      leftovers,
      checkFirstClaim: createFirstClaimCheck(context),
      limitFirstClaims: createFirstClaimLimit(context),
      secrets,
    }),
    release: createRelease(context),
    secrets,
    revoker,
    rotation: createRotation(context, secrets),
    expiry: createExpiry(context, deleteNamespaces),
    announceExemptions: createExemptionAnnouncer(store.queueExemptions, context),
    delete: deleteNamespaces,
    repair,
    reconcile: createReconcile(context, {
      verified: createVerifiedHashes(checkPassword),
      repair,
      leftovers,
    }),
  };
}
