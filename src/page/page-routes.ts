/** The fragment of the page's address: the view that is shown, and how it is sorted, searched and paged. */

export const VIEWS = ['overview', 'queues', 'namespaces', 'events', 'audit', 'health'] as const;

export type ViewName = (typeof VIEWS)[number];

/** What the page shows. */
export interface Route {
  readonly view: ViewName;
  /** The namespace of its own view. */
  readonly name?: string;
  /** Sorting, search, filters, offset: only those that differ from the view's own. */
  readonly query: Readonly<Record<string, string>>;
}

/** Reads `#/queues?sort=growth`. An address that the page does not know is the overview. */
export function parseRoute(fragment: string): Route {
  const [path, search] = splitOnce(fragment.replace(/^#\/?/, ''), '?');
  const [first, name] = splitOnce(path, '/');
  const view = VIEWS.find((known) => known === first) ?? 'overview';
  const query = Object.fromEntries(new URLSearchParams(search));
  return view === 'namespaces' && name !== '' ? { view, name: decoded(name), query } : { view, query };
}

/** The address of a route; parameters that are empty or undefined are left out. */
export function routeHref(
  view: ViewName,
  options: { readonly name?: string; readonly query?: Readonly<Record<string, string | number | undefined>> } = {},
): string {
  const path = view === 'overview' ? '' : view;
  const name = options.name === undefined ? '' : `/${encodeURIComponent(options.name)}`;
  const search = queryText(options.query ?? {});
  return `#/${path}${name}${search}`;
}

/** `?sort=depth&offset=50`; empty without parameters. Parameters that are empty or undefined are left out. */
export function queryText(query: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)]))).toString();
  return text === '' ? '' : `?${text}`;
}

/** The token of `#token=…`, with which `pulse-agent page` opens the page. */
export function tokenOfFragment(fragment: string): string | undefined {
  if (!fragment.startsWith('#token=')) return undefined;
  return decoded(fragment.slice('#token='.length)) || undefined;
}

function splitOnce(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** Text that is not a valid encoding is taken as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
