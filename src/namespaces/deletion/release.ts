import { WireError } from '../../contract/wire-errors.ts';
import { type Attempt, compareAndSet, CONFLICT } from '../../util/compare-and-set.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { afterDeletionStart } from './decide-deletion.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { clockDifferenceMs } from '../timing.ts';
import type { NonceEntry } from '../../store/nonce-records.ts';

/** A release whose signature and scope are right. */
export interface ReleaseInput {
  readonly namespace: string;
  /** The stored use of the request's signature. */
  readonly nonce: Pick<NonceEntry, 'key' | 'outcome' | 'firstSeenMs'>;
}

/** What a release did. */
export interface Released {
  /** Whether this call began the deletion: another release may have been first. */
  readonly changed: boolean;
  /** The record as it is being deleted; undefined when the incarnation that was released is deleted already. */
  readonly record: NamespaceRecord | undefined;
}

/** What a release does to a record: begin its deletion, go on with it, or nothing, because the incarnation is over. */
type ReleaseDecision = 'begin' | 'go-on' | 'over';

/** Which incarnation a release is about; undefined: the one that exists when the request is first seen. */
interface ReleaseTarget {
  readonly incarnation: string;
}

/** Decides what a release does. It is about one incarnation: a redelivered request must not delete the next one. */
export function decideRelease(record: NamespaceRecord | undefined, target: ReleaseTarget | undefined): ReleaseDecision {
  if (record === undefined || record.state === 'deleted') return 'over';
  if (target !== undefined && record.incarnation !== target.incarnation) return 'over';
  return record.state === 'expiring' ? 'go-on' : 'begin';
}

/**
 * Serves a release: writes `expiring`, after which no claim is served. The caller starts the deletion.
 *
 * @throws WireError `ResourceNotFound`; AgentError when the store does not answer.
 */
export type ReleaseNamespace = (release: ReleaseInput, signal: AbortSignal) => Promise<Released>;

const OVER: Released = { changed: false, record: undefined };

/** Creates the release of an installation. */
export function createRelease({
  store,
  nonces,
  bounds,
  intervals,
}: Pick<NamespaceContext, 'store' | 'nonces' | 'bounds' | 'intervals'>): ReleaseNamespace {
  return async ({ namespace, nonce }, signal) => {
    let target = readTarget(nonce.outcome);
    return await compareAndSet(`namespace ${namespace}`, signal, async (): Promise<Attempt<Released>> => {
      const record = await store.get(namespace);
      if (target === undefined) {
        if (record === undefined || record.state === 'deleted') {
          throw new WireError('ResourceNotFound', `There is no namespace ${namespace}.`);
        }
        // It was claimed after the request was first seen: what was released then is over.
        if (record.createdMs > nonce.firstSeenMs + clockDifferenceMs(intervals)) return OVER;
        // Stored before the record is written, so that a redelivery finds which incarnation the request was about.
        const own: ReleaseTarget = { incarnation: record.incarnation };
        target = readTarget(await nonces.recordOutcome(nonce.key, JSON.stringify(own))) ?? own;
      }
      const decision = decideRelease(record, target);
      if (decision === 'over' || record === undefined) return OVER;
      if (decision === 'go-on') return { changed: false, record };
      const next = afterDeletionStart(record, 'released', bounds.earliestMs());
      return (await store.replace(next, record.revision)) ? { changed: true, record: next } : CONFLICT;
    });
  };
}

function readTarget(outcome: string | null | undefined): ReleaseTarget | undefined {
  return outcome === null || outcome === undefined ? undefined : (JSON.parse(outcome) as ReleaseTarget);
}
