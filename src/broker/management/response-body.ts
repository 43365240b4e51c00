import { addAbortSignal, type Readable } from 'node:stream';
import { createJsonArrayReader } from './json-array-reader.ts';

/**
 * RabbitMQ 4.0 writes the state of a quorum queue that is down twice into one object: `down`, then `running`. A JSON parser
 * would keep the last one. Inside a string the quotes would be escaped.
 */
const DUPLICATE_STATE = /("state":"\w+"),"state":"\w+"/g;

const parse = (text: string): unknown => JSON.parse(text.replace(DUPLICATE_STATE, '$1'));

/** Parses a body; returns the text itself when it is not JSON: the status or the schema shows what is wrong. */
export function parseBody(text: unknown): unknown {
  if (typeof text !== 'string') return text;
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/**
 * Calls `onElement` with each element of a response that is an array.
 *
 * @returns the body of any other response; undefined when it was a complete array
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
  return reader.isComplete() ? undefined : 'no complete array';
}
