import { isIP } from 'node:net';
import { isLoopback } from '../observe/addresses.ts';
import type { HttpAnswer, IncomingRequest } from '../observe/http-server.ts';
import { errorAnswer } from './operator-answers.ts';

/** By which names the page may be reached. */
export interface GuardSettings {
  readonly httpHost: string;
  readonly operatorHosts: readonly string[];
}

/** What is asked for: files of the page hold no data. */
export type Guarded = 'file' | 'data';

/** Why a request is refused before anything about it is read; undefined: it is not. */
export function refusalOf(request: IncomingRequest, guarded: Guarded, settings: GuardSettings): HttpAnswer | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return errorAnswer(405, 'InputError', 'Only GET and HEAD are served.', { allow: 'GET, HEAD' });
  }
  if (request.hasBody) return errorAnswer(400, 'InputError', 'A request takes no body.');
  const host = hostIn(request.headers.host);
  if (host === undefined) return errorAnswer(400, 'InputError', 'The header Host is missing or malformed.');
  if (!isOwnHost(host, request.localAddress, settings)) {
    return errorAnswer(
      421,
      'InputError',
      `The host ${host} is not one of this agent: add it to the setting operatorHosts (PULSE_AGENT_OPERATOR_HOSTS) if browsers reach the page by it.`,
    );
  }
  if (!mayAsk(request, guarded)) {
    return errorAnswer(403, 'InputError', 'Another site may not ask for this.');
  }
  return undefined;
}

const HOST_HEADER = /^(?:\[([\da-f:.]{2,45})\]|([a-z\d_-][a-z\d._-]{0,252}))(?::\d{1,5})?$/;

/** The host of a header, without its port, which a tunnel may change. */
function hostIn(header: string | undefined): string | undefined {
  const [, ipv6, name] = HOST_HEADER.exec(header?.toLowerCase() ?? '') ?? [];
  return ipv6 ?? name?.replace(/\.$/, '');
}

/**
 * A page of another site can have the name of its own host lead to this machine. It cannot do that with an address, or with
 * the names of loopback.
 */
function isOwnHost(
  host: string,
  localAddress: string | undefined,
  { httpHost, operatorHosts }: GuardSettings,
): boolean {
  if (isLoopback(host) || operatorHosts.includes(host)) return true;
  if (host === localAddress?.replace(/^::ffff:/, '')) return true;
  return host === httpHost.toLowerCase() && isIP(host) === 0;
}

/** Whether a browser may ask, by what it says about the page that makes it ask. Other clients say nothing. */
function mayAsk({ headers }: IncomingRequest, guarded: Guarded): boolean {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return true;
  if (guarded === 'data') return false;
  // A link, or the way back from a login, at another site.
  const isVisit = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  return site === 'same-site' || isVisit;
}
