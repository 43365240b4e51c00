import { isDeepStrictEqual } from 'node:util';
import { claimableLimits } from '../../config/claimable-limits.ts';
import type { Config } from '../../config/config.ts';
import type { ClaimedLimits } from '../../contract/queue-limits-field.ts';
import { WireError } from '../../contract/wire-errors.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import type { ClaimInput } from './decide-claim.ts';

type LimitsConfig = Parameters<typeof claimableLimits>[0] & Pick<Config, 'queues'>;

/**
 * Checks the field `queueLimits` of a claim. What is stored is never refused: when operators lower a bound, the next claim of
 * a lease would lose its credentials.
 *
 * @throws WireError `InputError` when the rules do not allow one of the limits, or a warning would not come first
 */
export function checkQueueLimits(
  { namespace, queueLimits }: Pick<ClaimInput, 'namespace' | 'queueLimits'>,
  record: Pick<NamespaceRecord, 'queueLimits' | 'state'> | undefined,
  config: LimitsConfig,
): void {
  if (queueLimits === undefined || queueLimits === null || Object.keys(queueLimits).length === 0) return;
  if (record?.state !== 'deleted' && isDeepStrictEqual(record?.queueLimits, queueLimits)) return;
  const { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes } = queueLimits;
  const allowed = claimableLimits(config, namespace);
  if (allowed === undefined) {
    throw refused(`The field queueLimits is not allowed for ${namespace}: leave it out, or ${ASK_FOR_MORE}.`);
  }
  const inMessages = [warnAtMessages, deleteAtMessages, allowed.warnAtMessages, allowed.deleteAtMessages] as const;
  check('Messages', namespace, ...inMessages);
  if (allowed.warnAtBytes !== null && allowed.deleteAtBytes !== null) {
    check('Bytes', namespace, warnAtBytes, deleteAtBytes, allowed.warnAtBytes, allowed.deleteAtBytes);
  } else if (warnAtBytes !== undefined || deleteAtBytes !== undefined) {
    throw refused(`The field queueLimits must have no limit in bytes for ${namespace}, whose bytes are not watched.`);
  }
}

const ASK_FOR_MORE = 'ask the operators of this broker for more';

function check(
  unit: 'Messages' | 'Bytes',
  namespace: string,
  warnAt: number | undefined,
  deleteAt: number | undefined,
  lowestWarning: number,
  { min, max }: { readonly min: number; readonly max: number },
): void {
  if (deleteAt !== undefined && (deleteAt < min || deleteAt > max)) {
    throw refused(
      `The field queueLimits.deleteAt${unit} must be from ${min} to ${max} for ${namespace}: change it, or ${ASK_FOR_MORE}.`,
    );
  }
  const end = deleteAt ?? min;
  if (warnAt !== undefined && (warnAt < lowestWarning || warnAt >= end)) {
    throw refused(
      `The field queueLimits.warnAt${unit} must be at least ${lowestWarning} and less than deleteAt${unit} (${end}) for ${namespace}: owners are warned first.`,
    );
  }
}

function refused(message: string): WireError {
  return new WireError('InputError', message, { details: { field: 'queueLimits' } });
}

/** Whether a claim changes the stored limits. */
export function changesQueueLimits(
  stored: { readonly queueLimits?: ClaimedLimits } | undefined,
  written: { readonly queueLimits?: ClaimedLimits },
): boolean {
  return !isDeepStrictEqual(stored?.queueLimits, written.queueLimits);
}
