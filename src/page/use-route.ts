import { createObservable, useObservable } from './observable-value.ts';
import { parseRoute, type Route } from './page-routes.ts';

const route = createObservable<Route>(parseRoute(location.hash));

/** Follows the address from now on. */
export function followAddress(): void {
  addEventListener('hashchange', readAddress);
  readAddress();
}

function readAddress(): void {
  route.set(parseRoute(location.hash));
}

export function useRoute(): Route {
  return useObservable(route);
}

/** Shows another route. `replace`: the way back leaves it out, as while a search is typed. */
export function showRoute(href: string, options: { readonly replace?: boolean } = {}): void {
  if (href === location.hash) return;
  if (options.replace === true) {
    history.replaceState(null, '', href);
    route.set(parseRoute(href));
    return;
  }
  location.hash = href;
}
