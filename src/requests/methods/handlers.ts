import type { AgentContext } from '../../context.ts';
import { credentialSettlementMs, type Intervals } from '../../namespaces/timing.ts';
import { createNamespaceCounts } from '../../queues/namespace-counts.ts';
import type { ObserveNamespace } from '../../queues/observe-namespace.ts';
import { VERSION } from '../../version.ts';
import type { MethodHandlers } from '../method.ts';
import { type ClaimMethodParts, claimNamespaceMethod } from './claim-namespace-method.ts';
import { describeNamespaceMethod } from './describe-namespace-method.ts';
import { getNamespaceMethod } from './get-namespace-method.ts';
import { listNamespacesMethod } from './list-namespaces-method.ts';
import { pingMethod } from './ping-method.ts';
import { type ReleaseMethodParts, releaseNamespaceMethod } from './release-namespace-method.ts';
import { type RevokeMethodParts, revokeNamespaceMethod } from './revoke-namespace-method.ts';

/** What the methods do to namespaces, and read of them. */
export interface HandlersOptions {
  readonly claim: ClaimMethodParts['claimNamespace'];
  readonly release: ReleaseMethodParts['releaseNamespace'];
  readonly revoker: RevokeMethodParts['revoker'];
  readonly intervals: Intervals;
  /** Deletes a released namespace in the background. */
  readonly startDeletion: (namespace: string) => void;
  readonly observeNamespace: ObserveNamespace;
}

/** A handler for each method of the contract. */
export function createHandlers(
  context: Pick<AgentContext, 'config' | 'clock' | 'store' | 'management' | 'log' | 'jobs' | 'reporters'>,
  { claim, release, revoker, intervals, startDeletion, observeNamespace }: HandlersOptions,
): MethodHandlers {
  const { config, clock, store, jobs, reporters } = context;
  const readCounts = createNamespaceCounts(context);
  return {
    ping: pingMethod({ id: config.id, version: VERSION }, clock),
    'claim-namespace': claimNamespaceMethod({
      claimNamespace: claim,
      requireSealedReplies: config.requireSealedReplies,
      reporters,
    }),
    'get-namespace': getNamespaceMethod(store.namespaces, readCounts),
    'describe-namespace': describeNamespaceMethod({ config, clock, store, observeNamespace }),
    'list-namespaces': listNamespacesMethod(store.namespaces, readCounts),
    'release-namespace': releaseNamespaceMethod({ releaseNamespace: release, startDeletion, reporters }),
    'revoke-namespace': revokeNamespaceMethod({
      revoker,
      finishRevocation: (namespace) => jobs.trigger('finish-revocation', namespace, credentialSettlementMs(intervals)),
      reporters,
    }),
  };
}
