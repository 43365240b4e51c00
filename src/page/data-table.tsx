import type { ComponentChildren, JSX } from 'preact';
import type { SortableColumn, RowOrder } from './table-state.ts';

/** A column of a table. */
export interface TableColumn<Row> {
  readonly key: string;
  readonly title: string;
  /** Absent: the table cannot be sorted by it. */
  readonly sortable?: SortableColumn;
  readonly kind?: 'name' | 'number' | 'text' | 'chart';
  readonly cell: (row: Row) => ComponentChildren;
}

/** The same columns for a table that has an order of its own. */
export function unsortable<Row>(columns: readonly TableColumn<Row>[]): TableColumn<Row>[] {
  return columns.map((column) => {
    const { sortable, ...others } = column;
    return sortable === undefined ? column : others;
  });
}

interface DataTableProps<Row> {
  /** What the table shows. */
  readonly label: string;
  readonly columns: readonly TableColumn<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
  readonly sorting?: { readonly sort: string; readonly order: RowOrder };
  readonly onSort?: (column: SortableColumn) => void;
  /** Rows of another question are shown until those asked for arrive. */
  readonly isWaiting?: boolean;
  /** Shown where there is no row. */
  readonly empty: ComponentChildren;
}

/**
 * A table. Rows are kept by their key, so that the scroll position and the focus stay where they are when it is updated. On
 * a phone each row is a card; the roles keep it a table for screen readers.
 */
export function DataTable<Row>(props: DataTableProps<Row>): JSX.Element {
  const { label, columns, rows, rowKey, sorting, onSort, isWaiting = false, empty } = props;
  return (
    <div class="table-frame" role="group" aria-label={label} tabIndex={0}>
      <table role="table" aria-label={label} aria-busy={isWaiting} class={isWaiting ? 'waiting' : undefined}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <HeaderCell key={column.key} column={column} sorting={sorting} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr role="row" key={rowKey(row)}>
              {columns.map(({ key, title, kind = 'text', cell }) =>
                kind === 'name' ? (
                  <th role="rowheader" scope="row" key={key} class="name">
                    {cell(row)}
                  </th>
                ) : (
                  <td role="cell" key={key} class={kind} data-title={title}>
                    {cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p class="empty">{empty}</p>}
    </div>
  );
}

interface HeaderCellProps<Row> {
  readonly column: TableColumn<Row>;
  readonly sorting: DataTableProps<Row>['sorting'];
  readonly onSort: DataTableProps<Row>['onSort'];
}

function HeaderCell<Row>({ column, sorting, onSort }: HeaderCellProps<Row>): JSX.Element {
  const { title, sortable, kind = 'text' } = column;
  if (sortable === undefined || onSort === undefined) {
    return (
      <th role="columnheader" scope="col" class={`${kind} plain`}>
        {title}
      </th>
    );
  }
  const order = sorting?.sort === sortable.sort ? sorting.order : undefined;
  const ariaSort = order === undefined ? 'none' : order === 'asc' ? 'ascending' : 'descending';
  return (
    <th role="columnheader" scope="col" class={kind} aria-sort={ariaSort}>
      <button type="button" onClick={() => onSort(sortable)}>
        {title}
        <span class="sort-arrow" aria-hidden="true">
          {order === undefined ? '' : order === 'asc' ? '↑' : '↓'}
        </span>
      </button>
    </th>
  );
}
