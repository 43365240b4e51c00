import type { ClaimRequest } from '../client/client.ts';
import { claimedLimits } from '../contract/queue-limits-field.ts';
import { UsageFault } from './define-command.ts';

type Limits = NonNullable<ClaimRequest['queueLimits']>;

const NAMES = Object.keys(claimedLimits.shape);

/**
 * Reads `warnAtMessages=20000,deleteAtMessages=40000`; null: `none`.
 *
 * @throws UsageFault when it is none of that
 */
export function readQueueLimits(text: string): Limits | null {
  if (text === 'none') return null;
  const pairs = text.split(',').map((pair): [string, number] => {
    const [name = '', value = '', ...more] = pair.trim().split('=');
    if (!NAMES.includes(name) || !/^[1-9][0-9]{0,14}$/.test(value) || more.length > 0) throw fault(pair);
    return [name, Number(value)];
  });
  const limits = Object.fromEntries(pairs);
  if (Object.keys(limits).length < pairs.length) throw fault(text);
  return claimedLimits.parse(limits);
}

function fault(text: string): UsageFault {
  return new UsageFault(
    `--queue-limits (${text}) must be none, or limits such as deleteAtMessages=40000 with commas between: ${NAMES.join(', ')}, each at most once.`,
  );
}
