import type { JSX } from 'preact';
import { useTextAt } from './page-clock.ts';
import { distanceText, dueText, type InstantStyle, lastingText, localTime, UNKNOWN, utcText } from './page-formats.ts';

interface InstantProps {
  /** In ISO 8601; absent: unknown. */
  readonly at: string | null | undefined;
  readonly style?: InstantStyle;
}

/** An instant in the viewer's zone, with UTC on hover. */
export function Instant({ at, style }: InstantProps): JSX.Element {
  const atMs = at ? Date.parse(at) : undefined;
  const text = useTextAt((nowMs) => (atMs === undefined ? UNKNOWN : localTime(atMs, nowMs, style)));
  return <Time atMs={atMs} text={text} />;
}

/** How long ago an instant was, or when it will be, with the instant on hover. */
export function Distance({ at }: Pick<InstantProps, 'at'>): JSX.Element {
  const atMs = at ? Date.parse(at) : undefined;
  const text = useTextAt((nowMs) => (atMs === undefined ? UNKNOWN : distanceText(atMs, nowMs)));
  return <Time atMs={atMs} text={text} />;
}

/** When something is done next, with the instant on hover. */
export function Due({ at }: Pick<InstantProps, 'at'>): JSX.Element {
  const atMs = at ? Date.parse(at) : undefined;
  const text = useTextAt((nowMs) => (atMs === undefined ? UNKNOWN : dueText(atMs, nowMs)));
  return <Time atMs={atMs} text={text} />;
}

/** For how long something has been so, with the instant on hover. */
export function Lasting({ since }: { readonly since: string }): JSX.Element {
  const sinceMs = Date.parse(since);
  return <Time atMs={sinceMs} text={useTextAt((nowMs) => lastingText(sinceMs, nowMs))} />;
}

/** An instant and, smaller, its distance. */
export function InstantWithDistance({ at }: Pick<InstantProps, 'at'>): JSX.Element {
  if (!at) return <span class="unknown">{UNKNOWN}</span>;
  return (
    <span class="instant-pair">
      <Instant at={at} style="minute" />{' '}
      <small>
        <Distance at={at} />
      </small>
    </span>
  );
}

function Time({ atMs, text }: { readonly atMs: number | undefined; readonly text: string }): JSX.Element {
  if (atMs === undefined) return <span class="unknown">{text}</span>;
  return (
    <time dateTime={new Date(atMs).toISOString()} title={`${localTime(atMs, 0, 'full')} here, ${utcText(atMs)}`}>
      {text}
    </time>
  );
}
