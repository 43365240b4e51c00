/** Why bytes are not unambiguous JSON. The message continues a sentence: "The body …". */
export class JsonFault extends Error {}

// For text that JSON.parse has accepted, so every string is closed.
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/**
 * Parses JSON strictly: UTF-8 without a byte order mark, and no duplicate member in an object, because parsers disagree on
 * which of the two counts and the signature covers both.
 *
 * @throws JsonFault
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new JsonFault('must be UTF-8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new JsonFault('must be JSON');
  }
  refuseDuplicates(text);
  return value;
}

function refuseDuplicates(text: string): void {
  // One entry for each open bracket: the members of an object so far, or null for an array.
  const open: (Set<string> | null)[] = [];
  let previous = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      const members = open.at(-1);
      const name = String(JSON.parse(previous));
      if (members?.has(name)) throw new JsonFault(`must not have the field ${quoted(name)} twice`);
      members?.add(name);
    }
    previous = token;
  }
}

/** A name from a client, made safe for a message: short, quoted, printable ASCII. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}...` : name).replaceAll(/[^\x20-\x7e]/g, '?');
}
