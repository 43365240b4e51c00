import { addAbortSignal, type Readable } from 'node:stream';
import { createJsonArrayReader } from './json-array-reader.ts';

/**
 * RabbitMQ 4.0 tells the state of a quorum queue that is down twice in one object: `down`, then `running`. A JSON parser
 * keeps the last of them. Within a text both would have their quotes escaped.
 */
const STATE_TOLD_TWICE = /("state":"\w+"),"state":"\w+"/g;

const parse = (text: string): unknown => JSON.parse(text.replace(STATE_TOLD_TWICE, '$1'));

/** What the text of an answer says; the text itself when it is no JSON: the status or the form shows what is wrong. */
export function parseBody(text: unknown): unknown {
  if (typeof text !== 'string') return text;
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/**
 * Hands out the elements of an answer that is a list.
 *
 * @returns what else the answer says; undefined when it was a list, and whole.
 */
export async function readArray(
  stream: Readable,
  status: number,
  onElement: (element: unknown) => void,
  signal: AbortSignal,
): Promise<unknown> {
  const pieces = addAbortSignal(signal, stream.setEncoding('utf8')) as AsyncIterable<string>;
  if (status !== 200) {
    let text = '';
    for await (const piece of pieces) text += piece;
    return parseBody(text);
  }
  const reader = createJsonArrayReader(parse);
  for await (const piece of pieces) for (const element of reader.push(piece)) onElement(element);
  return reader.isWhole() ? undefined : 'no list';
}
