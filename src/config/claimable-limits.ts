import type { ClaimedLimits } from '../contract/queue-limits-field.ts';
import type { QueueRule, QueueThresholds } from './queue-rules.ts';
import { reachIn } from './rule-shadows.ts';

/** The lowest and the highest value that a claim may ask for. */
interface LimitRange {
  readonly min: number;
  readonly max: number;
}

/** What a claim may ask for; null: bytes are not watched. */
export interface ClaimableLimits {
  readonly deleteAtMessages: LimitRange;
  readonly deleteAtBytes: LimitRange | null;
  readonly warnAtMessages: number;
  readonly warnAtBytes: number | null;
}

/**
 * What a claim of a namespace may ask for: as much as one of the rules that may hold for its queues allows. Undefined where
 * none allows more than it says.
 */
export function claimableLimits(
  { queues, ...defaults }: QueueThresholds & { readonly queues: readonly QueueRule[] },
  namespace: string,
): ClaimableLimits | undefined {
  const holding: (QueueThresholds & Pick<QueueRule, 'ownersMayRaiseTo'>)[] = [];
  let isCovered = false;
  for (const rule of queues) {
    const reach = reachIn(rule.match.source, namespace);
    if (reach !== 'none') holding.push(rule);
    isCovered = reach === 'all';
    if (isCovered) break;
  }
  if (!isCovered) holding.push(defaults);
  if (!holding.some(({ ownersMayRaiseTo }) => ownersMayRaiseTo !== undefined)) return undefined;
  const inBytes = holding.flatMap(({ warnAtBytes, deleteAtBytes, ownersMayRaiseTo }) =>
    warnAtBytes === null || deleteAtBytes === null
      ? []
      : [{ warn: warnAtBytes, own: deleteAtBytes, max: ownersMayRaiseTo?.deleteAtBytes ?? deleteAtBytes }],
  );
  return {
    deleteAtMessages: {
      min: Math.min(...holding.map(({ deleteAtMessages }) => deleteAtMessages)),
      max: Math.max(
        ...holding.map(
          ({ deleteAtMessages, ownersMayRaiseTo }) => ownersMayRaiseTo?.deleteAtMessages ?? deleteAtMessages,
        ),
      ),
    },
    warnAtMessages: Math.min(...holding.map(({ warnAtMessages }) => warnAtMessages)),
    deleteAtBytes:
      inBytes.length === 0
        ? null
        : { min: Math.min(...inBytes.map(({ own }) => own)), max: Math.max(...inBytes.map(({ max }) => max)) },
    warnAtBytes: inBytes.length === 0 ? null : Math.min(...inBytes.map(({ warn }) => warn)),
  };
}

/** The thresholds of a rule, raised as far as a claim asks for and the rule allows. */
export function raisedThresholds(
  rule: QueueThresholds & Pick<QueueRule, 'ownersMayRaiseTo'>,
  claimed: ClaimedLimits | undefined,
): QueueThresholds {
  const { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes, ownersMayRaiseTo: bounds } = rule;
  if (bounds === undefined || claimed === undefined) {
    return { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes };
  }
  const atMessages = raised(deleteAtMessages, claimed.deleteAtMessages, bounds.deleteAtMessages);
  const messages = {
    deleteAtMessages: atMessages,
    warnAtMessages: raisedWarning(warnAtMessages, claimed.warnAtMessages, atMessages),
  };
  if (warnAtBytes === null || deleteAtBytes === null) return { ...messages, warnAtBytes, deleteAtBytes };
  const atBytes = raised(deleteAtBytes, claimed.deleteAtBytes, bounds.deleteAtBytes);
  return {
    ...messages,
    deleteAtBytes: atBytes,
    warnAtBytes: raisedWarning(warnAtBytes, claimed.warnAtBytes, atBytes),
  };
}

function raised(own: number, claimed = own, bound = own): number {
  return Math.max(own, Math.min(claimed, bound));
}

/** A warning has to come before the deletion, which the rule may not let be raised as far. */
function raisedWarning(own: number, claimed = own, deleteAt: number): number {
  return claimed > own && claimed < deleteAt ? claimed : own;
}
