import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { NamespacesAnswer, QueuesAnswer } from '../operator-api/schemas.ts';
import { countedText } from './page-formats.ts';
import { Name, NamespaceLink, QueueLink } from './page-parts.tsx';
import { routeHref } from './page-routes.ts';
import { useAnswer } from './use-answer.ts';
import { useRoute } from './use-route.ts';
import { SearchField } from './view-controls.tsx';

const LIMIT = 6;
/** A found name is not asked for again while it is read. */
const EVERY_MS = 30_000;

/** Finds namespaces by their names and holders, and queues by their names. */
export function GlobalSearch(): JSX.Element {
  const [search, setSearch] = useState('');
  const route = useRoute();
  const frame = useRef<HTMLDivElement>(null);
  // Following a result, or anything else, ends the search.
  useEffect(() => setSearch(''), [route]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') {
      setSearch('');
      frame.current?.querySelector('input')?.focus();
      return;
    }
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0 || frame.current === null) return;
    const stops = [...frame.current.querySelectorAll<HTMLElement>('input, .results a')];
    const to = stops[stops.findIndex((stop) => stop === document.activeElement) + step];
    if (to === undefined) return;
    event.preventDefault();
    to.focus();
  };
  return (
    <div class="global-search" role="search" ref={frame} onKeyDown={onKeyDown}>
      <SearchField label="Search namespace, client, queue" value={search} onSearch={setSearch} />
      {search !== '' && <Results search={search} />}
    </div>
  );
}

function Results({ search }: { readonly search: string }): JSX.Element {
  const namespaces = useAnswer<NamespacesAnswer>('namespaces', { search, limit: LIMIT }, EVERY_MS);
  const queues = useAnswer<QueuesAnswer>('queues', { search, sort: 'messages', limit: LIMIT }, EVERY_MS);
  const found = (namespaces.data?.total ?? 0) + (queues.data?.total ?? 0);
  const isKnown = namespaces.data !== undefined && queues.data !== undefined;
  return (
    <div class="results">
      <p class="hidden-text" role="status">
        {isKnown ? countedText(found, 'result') : ''}
      </p>
      <h2>Namespaces</h2>
      <ul>
        {namespaces.data?.items.map(({ namespace, holder }) => (
          <li key={namespace}>
            <NamespaceLink name={namespace} />{' '}
            <small>
              <Name>{holder}</Name>
            </small>
          </li>
        ))}
      </ul>
      <AllOf noun="namespace" total={namespaces.data?.total} href={routeHref('namespaces', { query: { search } })} />
      <h2>Queues</h2>
      <ul>
        {queues.data?.items.map(({ queue, namespace }) => (
          <li key={queue}>
            <QueueLink queue={queue} namespace={namespace} />
          </li>
        ))}
      </ul>
      <AllOf noun="queue" total={queues.data?.total} href={routeHref('queues', { query: { search } })} />
    </div>
  );
}

function AllOf({
  noun,
  total,
  href,
}: {
  readonly noun: string;
  readonly total: number | undefined;
  readonly href: string;
}): JSX.Element | null {
  if (total === undefined) return <p class="empty">Searching…</p>;
  if (total === 0) return <p class="empty">No {noun} matches.</p>;
  return total > LIMIT ? <a class="all-of" href={href}>{`all ${countedText(total, noun)}`}</a> : null;
}
