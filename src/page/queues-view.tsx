import type { JSX } from 'preact';
import type { QueueRow, QueuesAnswer } from '../operator-api/schemas.ts';
import { DataTable } from './data-table.tsx';
import { Pager } from './pager.tsx';
import { Awaited, RefusalNote } from './page-parts.tsx';
import { type Route, routeHref } from './page-routes.ts';
import { queueColumns } from './queue-columns.tsx';
import { emptyText, PAGE_ROWS, pageSpan, readTableState, sortBy } from './table-state.ts';
import { useAnswer } from './use-answer.ts';
import { showRoute } from './use-route.ts';
import { Choices, SearchField } from './view-controls.tsx';

/** The orders in which operators read queues, each by name. */
const READINGS = [
  { label: 'Deepest', query: { sort: 'messages' } },
  { label: 'Fastest growing', query: { sort: 'growth' } },
  { label: 'Next threshold', query: { sort: 'next' } },
  { label: 'In alert', query: { sort: 'next', state: 'alert' } },
] as const;

/** All queues of namespaces. */
export function QueuesView({ route: { query } }: { readonly route: Route }): JSX.Element {
  const columns = queueColumns([]);
  const sortable = columns.flatMap((column) => (column.sortable === undefined ? [] : [column.sortable]));
  const state = readTableState(query, sortable, 'messages');
  const { search = '', state: only = '' } = query;
  const asked = { ...state, search, state: only, limit: PAGE_ROWS };
  const { data, isPrevious, failure } = useAnswer<QueuesAnswer>('queues', asked);
  const hrefOf = (change: Record<string, string | number>): string =>
    routeHref('queues', { query: { ...query, ...change } });
  const choices = READINGS.map(({ label, query: reading }) => ({
    label,
    href: routeHref('queues', { query: { ...reading, search } }),
    isChosen: state.sort === reading.sort && only === ('state' in reading ? reading.state : ''),
  }));
  return (
    <>
      <div class="controls">
        <Choices label="Order of queues" choices={choices} />
        <SearchField
          label="Search queues"
          value={search}
          onSearch={(text) => showRoute(hrefOf({ search: text, offset: 0 }), { replace: true })}
        />
      </div>
      {data === undefined ? (
        <Awaited failure={failure} />
      ) : (
        <>
          <RefusalNote failure={failure} />
          <DataTable<QueueRow>
            label="Queues"
            columns={queueColumns(data.trendAt)}
            rows={data.items}
            rowKey={({ queue }) => queue}
            sorting={state}
            onSort={(column) => showRoute(hrefOf({ ...sortBy(state, column) }), { replace: true })}
            isWaiting={isPrevious}
            empty={emptyText(data.total, search + only, 'No namespace has a queue yet.')}
          />
          <Pager
            span={pageSpan(state.offset, data.items.length, data.total)}
            noun="queue"
            hrefOf={(offset) => hrefOf({ offset })}
          />
        </>
      )}
    </>
  );
}
