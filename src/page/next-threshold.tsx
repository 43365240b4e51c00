import type { JSX } from 'preact';
import type { QueueRow } from '../operator-api/schemas.ts';
import { Due, Instant } from './instant.tsx';
import { UNKNOWN } from './page-formats.ts';
import { fillOf, nextThresholdText } from './threshold-texts.ts';

type ThresholdRow = Pick<QueueRow, 'state' | 'next' | 'exemptUntil' | 'messages' | 'bytes'>;

/** What happens to a queue next, when, and how near it is. */
export function ThresholdCell({ row }: { readonly row: ThresholdRow }): JSX.Element {
  const { next } = row;
  const fill = fillOf(row);
  const isLoss = next?.action === 'delete' || next?.action === 'purge';
  return (
    <span class="threshold">
      <span>{nextThresholdText(row)}</span>
      {row.exemptUntil !== undefined && (
        <>
          {' '}
          <Instant at={row.exemptUntil} style="minute" />
        </>
      )}
      {next !== undefined && row.exemptUntil === undefined && (
        <strong class={isLoss && next.reachedAt ? 'soon' : undefined}>
          <WhenReached reachedAt={next.reachedAt} />
        </strong>
      )}
      {fill !== undefined && (
        <svg class={`fill ${isLoss ? 'loss' : ''}`} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
          <rect class="fill-whole" width="100" height="4" />
          <rect class="fill-part" width={fill * 100} height="4" />
        </svg>
      )}
    </span>
  );
}

function WhenReached({ reachedAt }: { readonly reachedAt: string | null | undefined }): JSX.Element {
  if (reachedAt === undefined) return <>{UNKNOWN}</>;
  if (reachedAt === null) return <span class="calm">not at this rate</span>;
  return <Due at={reachedAt} />;
}
