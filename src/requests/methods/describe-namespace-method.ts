import type { AgentContext } from '../../context.ts';
import { WireError } from '../../contract/wire-errors.ts';
import { readNamespace } from '../../namespaces/read-namespaces.ts';
import type { ObserveNamespace } from '../../queues/observe-namespace.ts';
import { readAlerts } from '../../queues/survey-queues.ts';
import { readExemptions } from '../../store/paged-listing.ts';
import { createCoalesced } from '../../util/coalesced.ts';
import type { MethodHandler } from '../method.ts';
import { descriptionFor } from './namespace-description.ts';

/** What the method works with. */
export interface DescribeMethodParts extends Pick<AgentContext, 'config' | 'clock'> {
  readonly store: Pick<AgentContext['store'], 'namespaces' | 'queueAlerts' | 'queueExemptions' | 'audit'>;
  readonly observeNamespace: ObserveNamespace;
}

/** How many audit records a description has. */
const AUDIT_RECORDS = 20;

/** Requests share a reading of all alerts and exemptions for so long, in ms. */
const KEPT_MS = 2_000;

/** Describes a namespace. The server has checked that the signer may claim or describe it. */
export function describeNamespaceMethod(parts: DescribeMethodParts): MethodHandler<'describe-namespace'> {
  const { store, config, clock, observeNamespace } = parts;
  const readQueueRecords = createCoalesced(
    async () => {
      const [alerts, exemptions] = await Promise.all([
        readAlerts(store.queueAlerts, new AbortController().signal),
        readExemptions(store.queueExemptions),
      ]);
      return { alerts, exemptions: new Map(exemptions.map((exemption) => [exemption.queue, exemption])) };
    },
    KEPT_MS,
    clock,
  );

  return async ({ namespace }, { signer }) => {
    const record = await readNamespace(store.namespaces, namespace);
    if (record === undefined) throw new WireError('ResourceNotFound', `There is no namespace ${namespace}.`);
    const [observation, queueRecords, audit] = await Promise.all([
      observeNamespace(namespace, record.createdMs),
      readQueueRecords(),
      store.audit.list({ namespace, limit: AUDIT_RECORDS }),
    ]);
    const known = { record, ...observation, ...queueRecords, audit };
    return descriptionFor(signer.clientId, known, config, clock.nowMs());
  };
}
