import type { NamespaceRecord } from './namespace-record.ts';
import type { ListOptions, NamespaceStore } from './store.ts';

/** So many records are in memory at once, and are read with one call. */
const PAGE = 1000;

/** Which namespaces, and how many at once. */
export type PageOptions = Partial<Omit<ListOptions, 'after'>> & { readonly after?: string | undefined };

/**
 * All namespaces, or those in certain states, in pages, in the order of their names. One that is added or changed meanwhile
 * may be seen or not. A page is read when it is asked for.
 *
 * @throws AgentError `StoreUnavailable`; the signal's reason
 */
export async function* namespacePages(
  namespaces: Pick<NamespaceStore, 'list'>,
  signal: AbortSignal,
  { after: first, limit = PAGE, ...states }: PageOptions = {},
): AsyncGenerator<readonly NamespaceRecord[]> {
  for (let after = first; ; ) {
    signal.throwIfAborted();
    const page = await namespaces.list({ ...states, limit, ...(after === undefined ? {} : { after }) });
    after = page.at(-1)?.namespace;
    if (after !== undefined) yield page;
    if (page.length < limit) return;
  }
}
