import { WireError } from '../../contract/wire-errors.ts';
import { AgentError } from '../../util/agent-errors.ts';
import type { NamespaceRecord, NonceEntry } from '../../store/namespace-record.ts';
import { afterDeletionStart } from './decide-deletion.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { clockDifferenceMs } from '../timing.ts';

/** A release whose signature and scope are right. */
export interface Release {
  readonly namespace: string;
  /** The memory of the request's signature. */
  readonly nonce: Pick<NonceEntry, 'key' | 'outcome' | 'firstSeenMs'>;
}

/** What a release did. */
export interface Released {
  /** Whether it began the end: another release may have been first. */
  readonly isNews: boolean;
  /** The record as it is being deleted; undefined when the incarnation that was released is over. */
  readonly record: NamespaceRecord | undefined;
}

/** What a release may do to a record. */
export type ReleaseDecision = 'begin' | 'go-on' | 'over';

/** Which incarnation a release is about; undefined: the one that is there when it is first seen. */
export interface ReleaseTarget {
  readonly incarnation: string;
}

/**
 * Decides about a release. It is about one incarnation: a redelivered request must not end the next one.
 */
export function decideRelease(record: NamespaceRecord | undefined, target: ReleaseTarget | undefined): ReleaseDecision {
  if (record === undefined || record.state === 'deleted') return 'over';
  if (target !== undefined && record.incarnation !== target.incarnation) return 'over';
  return record.state === 'expiring' ? 'go-on' : 'begin';
}

const MOST_TRIES = 100;

/**
 * Serves a release: writes that the namespace is to be deleted. From then on no claim is served; whoever called deletes it.
 *
 * @throws WireError `ResourceNotFound`; AgentError when the store does not answer.
 */
export type ReleaseNamespace = (release: Release, signal: AbortSignal) => Promise<Released>;

/** Creates the release of an installation. */
export function createRelease({
  store,
  nonces,
  bounds,
  intervals,
}: Pick<NamespaceContext, 'store' | 'nonces' | 'bounds' | 'intervals'>): ReleaseNamespace {
  return async ({ namespace, nonce }, signal) => {
    let target = readTarget(nonce.outcome);
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      signal.throwIfAborted();
      const record = await store.get(namespace);
      if (target === undefined) {
        if (record === undefined || record.state === 'deleted') {
          throw new WireError('ResourceNotFound', `There is no namespace ${namespace}.`);
        }
        // Claimed after the request was first seen: what was released then is over.
        if (record.createdMs > nonce.firstSeenMs + clockDifferenceMs(intervals)) return over;
        // Fixed before anything happens: a redelivery finds what this one was about.
        const own: ReleaseTarget = { incarnation: record.incarnation };
        target = readTarget(await nonces.recordOutcome(nonce.key, JSON.stringify(own))) ?? own;
      }
      const decision = decideRelease(record, target);
      if (decision === 'over' || record === undefined) return over;
      if (decision === 'go-on') return { isNews: false, record };
      const next = afterDeletionStart(record, 'released', bounds.earliestMs());
      if (await store.replace(next, record.revision)) return { isNews: true, record: next };
    }
    throw new AgentError('Contended', `Namespace ${namespace} was changed by others at every try.`);
  };
}

const over: Released = { isNews: false, record: undefined };

function readTarget(outcome: string | null | undefined): ReleaseTarget | undefined {
  return outcome === null || outcome === undefined ? undefined : (JSON.parse(outcome) as ReleaseTarget);
}
