import type { JSX } from 'preact';
import { countedText, countText } from './page-formats.ts';
import type { PageSpan } from './table-state.ts';

interface PagerProps {
  readonly span: PageSpan;
  /** What is countedText, such as `queue`. */
  readonly noun: string;
  readonly hrefOf: (offset: number) => string;
}

/** Which rows are shown, of how many, and the links to the pages around them. */
export function Pager({ span, noun, hrefOf }: PagerProps): JSX.Element {
  const { first, last, total, previous, next } = span;
  const shown = previous === undefined && next === undefined ? countedText(total, noun) : undefined;
  return (
    <nav class="pager" aria-label={`Pages of ${noun}s`}>
      <span>
        {shown ?? `${first === 0 ? 'none' : `${countText(first)}–${countText(last)}`} of ${countedText(total, noun)}`}
      </span>
      {shown === undefined && (
        <span class="pager-links">
          <PageLink label="Previous" href={previous === undefined ? undefined : hrefOf(previous)} />
          <PageLink label="Next" href={next === undefined ? undefined : hrefOf(next)} />
        </span>
      )}
    </nav>
  );
}

function PageLink({ label, href }: { readonly label: string; readonly href: string | undefined }): JSX.Element {
  if (href === undefined)
    return (
      <span class="page-link" aria-disabled="true">
        {label}
      </span>
    );
  return (
    <a class="page-link" href={href}>
      {label}
    </a>
  );
}
