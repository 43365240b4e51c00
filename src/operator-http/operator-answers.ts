import type { WireErrorCode } from '../contract/wire-errors.ts';
import type { HttpAnswer } from '../observe/http-server.ts';
import type { AgentErrorCode } from '../util/agent-errors.ts';

/** The page runs its own script and style, asks its own agent, and is part of no other page. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** An answer with data. */
export function dataAnswer(body: object): HttpAnswer {
  return { status: 200, contentType: 'application/json', body: JSON.stringify(body), headers: PAGE_HEADERS };
}

/** An answer that says in one sentence why there is no other. It holds no secret. */
export function errorAnswer(
  status: number,
  code: WireErrorCode | AgentErrorCode,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return {
    status,
    contentType: 'application/json',
    body: JSON.stringify({ error: { code, message } }),
    headers: { ...PAGE_HEADERS, ...headers },
  };
}
