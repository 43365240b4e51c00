import { createObservable } from './observable-value.ts';
import { tokenOfFragment } from './page-routes.ts';

/** One token for each path: agents behind one reverse proxy share an origin. */
const KEY = `pulse-agent-token ${location.pathname}`;

/** The operators' token; undefined: none is known, and a reverse proxy may add it. */
export const sessionToken = createObservable<string | undefined>(undefined);

/**
 * Takes the token from the link of `pulse-agent page` and removes it from the address, so that it is in no history and
 * is not copied with it; or else from the session of this tab. Later links are taken, too.
 */
export function takeSessionToken(): void {
  sessionToken.set(stored() ?? undefined);
  takeFromFragment();
  addEventListener('hashchange', takeFromFragment);
}

function takeFromFragment(): void {
  const given = tokenOfFragment(location.hash);
  if (given === undefined) return;
  history.replaceState(null, '', `${location.pathname}${location.search}#/`);
  keepToken(given);
}

/** Keeps a token until the tab is closed. */
export function keepToken(token: string): void {
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // Storage is switched off: the token is known until the page is loaded again.
  }
  sessionToken.set(token);
}

/** Forgets the token and all that the page was given with it. */
export function forgetToken(): void {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was stored.
  }
  location.reload();
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
