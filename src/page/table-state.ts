/** How a table is sorted and paged. The agent sorts and pages; the page only asks. */

export type RowOrder = 'asc' | 'desc';

/** What a table asks for. */
export interface TableState {
  readonly sort: string;
  readonly order: RowOrder;
  readonly offset: number;
}

/** A column by which a table can be sorted. */
export interface SortableColumn {
  /** The agent's name for it. */
  readonly sort: string;
  /** The order that a first click asks for: numbers from the largest, names from the first. */
  readonly first: RowOrder;
}

/** The rows of one page. */
export const PAGE_ROWS = 50;

/** Reads the state from the query of a route; what it cannot use is the default. */
export function readTableState(
  query: Readonly<Record<string, string>>,
  columns: readonly SortableColumn[],
  byDefault: string,
): TableState {
  const column = columns.find(({ sort }) => sort === query.sort) ?? columns.find(({ sort }) => sort === byDefault);
  const { sort, first } = column ?? { sort: byDefault, first: 'asc' };
  const order = query.order === 'asc' || query.order === 'desc' ? query.order : first;
  const offset = /^\d{1,9}$/.test(query.offset ?? '') ? Number(query.offset) : 0;
  return { sort, order, offset };
}

/** A click on a header: the other order of the same column, or the column's own first order. Starts at the first page. */
export function sortBy(state: TableState, column: SortableColumn): TableState {
  const isSame = state.sort === column.sort;
  const order = isSame ? (state.order === 'asc' ? 'desc' : 'asc') : column.first;
  return { sort: column.sort, order, offset: 0 };
}

/** Which rows are shown, of how many, and where the pages around them start. */
export interface PageSpan {
  /** From 1; 0: there are none. */
  readonly first: number;
  readonly last: number;
  readonly total: number;
  readonly previous: number | undefined;
  readonly next: number | undefined;
}

/** The span of a page. An offset behind the end, because rows were deleted, leads back to the last page. */
export function pageSpan(offset: number, shown: number, total: number, limit = PAGE_ROWS): PageSpan {
  const lastPage = Math.max(0, Math.ceil(total / limit) - 1) * limit;
  return {
    first: shown === 0 ? 0 : offset + 1,
    last: shown === 0 ? 0 : offset + shown,
    total,
    previous: offset === 0 ? undefined : Math.max(0, Math.min(offset - limit, lastPage)),
    next: offset + shown < total && shown > 0 ? offset + limit : undefined,
  };
}

/** Why a page has no rows. */
export function emptyText(total: number, filters: string, none: string): string {
  if (total > 0) return 'This page is behind the end of the list: go back.';
  return filters === '' ? none : 'Nothing matches.';
}
