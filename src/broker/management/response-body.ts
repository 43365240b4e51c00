import { createJsonArrayReader } from './json-array-reader.ts';

/**
 * RabbitMQ 4.0 writes the state of a quorum queue that is down twice into one object: `down`, then `running`. A JSON parser
 * would keep the last one. Inside a string the quotes would be escaped.
 */
const DUPLICATE_STATE = /("state":"\w+"),"state":"\w+"/g;

const parse = (text: string): unknown => JSON.parse(text.replace(DUPLICATE_STATE, '$1'));

/** Parses a body; returns the text itself when it is not JSON: the status or the schema shows what is wrong. */
export function parseBody(text: string): unknown {
  // RabbitMQ answers most changes so. The error of JSON.parse would take as long as the rest of the call: it has a stack.
  if (text === '') return text;
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/** Receives a response that is an array. */
interface ArrayReceiver {
  push(piece: string): void;
  /** The body of the response: undefined when it was a complete array. */
  end(): unknown;
}

/** Calls `onElement` with each element of a response as it arrives. */
export function createArrayReceiver(onElement: (element: unknown) => void): ArrayReceiver {
  const reader = createJsonArrayReader(parse);
  return {
    push(piece) {
      for (const element of reader.push(piece)) onElement(element);
    },
    end: () => (reader.isComplete() ? undefined : 'no complete array'),
  };
}
