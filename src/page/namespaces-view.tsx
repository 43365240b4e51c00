import type { JSX } from 'preact';
import type { NamespaceRow, NamespacesAnswer } from '../operator-api/schemas.ts';
import { type TableColumn, DataTable } from './data-table.tsx';
import { Distance, InstantWithDistance } from './instant.tsx';
import { countText } from './page-formats.ts';
import { Awaited, RefusalNote, Name, NamespaceLink } from './page-parts.tsx';
import { Pager } from './pager.tsx';
import { type Route, routeHref } from './page-routes.ts';
import { StateMark } from './state-mark.tsx';
import { emptyText, PAGE_ROWS, pageSpan, readTableState, sortBy } from './table-state.ts';
import { useAnswer } from './use-answer.ts';
import { showRoute } from './use-route.ts';
import { Choices, SearchField } from './view-controls.tsx';

const COLUMNS: readonly TableColumn<NamespaceRow>[] = [
  {
    key: 'namespace',
    title: 'Namespace',
    kind: 'name',
    sortable: { sort: 'namespace', first: 'asc' },
    cell: ({ namespace }) => <NamespaceLink name={namespace} />,
  },
  {
    key: 'state',
    title: 'State',
    sortable: { sort: 'state', first: 'asc' },
    cell: ({ state, blockedBy }) => (
      <>
        <StateMark state={state} />
        {blockedBy !== undefined && <small title={blockedBy}> waits</small>}
      </>
    ),
  },
  {
    key: 'holder',
    title: 'Holder',
    sortable: { sort: 'holder', first: 'asc' },
    cell: ({ holder }) => <Name>{holder}</Name>,
  },
  {
    key: 'reclaimBy',
    title: 'Claim again by',
    sortable: { sort: 'reclaimBy', first: 'asc' },
    cell: ({ reclaimBy }) => <InstantWithDistance at={reclaimBy} />,
  },
  {
    key: 'expires',
    title: 'Expires',
    sortable: { sort: 'expires', first: 'asc' },
    cell: ({ expires }) => <InstantWithDistance at={expires} />,
  },
  {
    key: 'nextRotation',
    title: 'Next rotation',
    sortable: { sort: 'nextRotation', first: 'asc' },
    cell: ({ nextRotation }) => <Distance at={nextRotation} />,
  },
  number('queues', 'Queues'),
  number('messages', 'Messages'),
  number('connections', 'Connections'),
];

function number(key: 'queues' | 'messages' | 'connections', title: string): TableColumn<NamespaceRow> {
  return { key, title, kind: 'number', sortable: { sort: key, first: 'desc' }, cell: (row) => countText(row[key]) };
}

const SORTABLE = COLUMNS.flatMap(({ sortable }) => (sortable === undefined ? [] : [sortable]));
const STATES = ['', 'active', 'expiring', 'provisioning'] as const;

/** All namespaces. */
export function NamespacesView({ route: { query } }: { readonly route: Route }): JSX.Element {
  const state = readTableState(query, SORTABLE, 'namespace');
  const { search = '', state: only = '' } = query;
  const asked = { ...state, search, state: only, limit: PAGE_ROWS };
  const { data, isPrevious, failure } = useAnswer<NamespacesAnswer>('namespaces', asked);
  const hrefOf = (change: Record<string, string | number>): string =>
    routeHref('namespaces', { query: { ...query, ...change } });
  const choices = STATES.map((one) => ({
    label: one === '' ? 'All' : (one[0]?.toUpperCase() ?? '') + one.slice(1),
    href: hrefOf({ state: one, offset: 0 }),
    isChosen: one === only,
  }));
  return (
    <>
      <div class="controls">
        <Choices label="State of namespaces" choices={choices} />
        <SearchField
          label="Search namespaces and holders"
          value={search}
          onSearch={(text) => showRoute(hrefOf({ search: text, offset: 0 }), { replace: true })}
        />
      </div>
      {data === undefined ? (
        <Awaited failure={failure} />
      ) : (
        <>
          <RefusalNote failure={failure} />
          <DataTable<NamespaceRow>
            label="Namespaces"
            columns={COLUMNS}
            rows={data.items}
            rowKey={({ namespace }) => namespace}
            sorting={state}
            onSort={(column) => showRoute(hrefOf({ ...sortBy(state, column) }), { replace: true })}
            isWaiting={isPrevious}
            empty={emptyText(data.total, search + only, 'No namespace is claimed yet.')}
          />
          <Pager
            span={pageSpan(state.offset, data.items.length, data.total)}
            noun="namespace"
            hrefOf={(offset) => hrefOf({ offset })}
          />
        </>
      )}
    </>
  );
}
