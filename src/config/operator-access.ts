import { isIP } from 'node:net';
import { InvalidUrl } from '../contract/url.ts';

/** The shortest token of operators, in characters: its holder sees all namespaces, queues and clients. */
export const OPERATOR_TOKEN_MIN_LENGTH = 32;

/** A random token has more different characters than this in all but one of 10^8 cases. */
const MIN_CHARACTERS = 12;

/** What a header `Authorization: Bearer …` can carry. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

const HOW = 'Generate one with openssl rand -base64 33.';

/**
 * A sentence about a token that cannot be used.
 *
 * @param others secrets that other people may know, or that give more
 */
export function operatorTokenFault(token: string, others: readonly string[]): string | undefined {
  const name = 'PULSE_AGENT_OPERATOR_TOKEN';
  if (token.length < OPERATOR_TOKEN_MIN_LENGTH || new Set(token).size < MIN_CHARACTERS) {
    return `${name} can be guessed: it must have at least ${OPERATOR_TOKEN_MIN_LENGTH} characters, ${MIN_CHARACTERS} different ones among them. ${HOW}`;
  }
  if (!BEARER_TOKEN.test(token)) {
    return `${name} has characters that an HTTP header cannot carry: it may have letters, digits and - . _ ~ + / and = at its end. ${HOW}`;
  }
  if (others.includes(token)) return `${name} must be no other secret of the agent: browsers keep it. ${HOW}`;
  return undefined;
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/**
 * Reads names of hosts with commas between them, in lower case, IPv6 addresses without brackets.
 *
 * @throws InvalidUrl
 * @example
 * parseHostNames('pulse.example.com, 10.0.0.7'); // ['pulse.example.com', '10.0.0.7']
 */
export function parseHostNames(text: string): readonly string[] {
  return text.split(',').map((part) => {
    const name = part
      .trim()
      .toLowerCase()
      .replace(/^\[(.*)\]$/, '$1');
    if (isIP(name) !== 0 || HOST_NAME.test(name)) return name;
    throw new InvalidUrl('must be host names or addresses with commas between, without scheme, port and path');
  });
}
