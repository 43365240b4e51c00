/** Parses the text of a JSON array in pieces. */
interface JsonArrayReader {
  /** Adds a piece; returns the elements that are complete now and were not before. */
  push(piece: string): readonly unknown[];
  /** Whether the text so far is a complete JSON array. */
  isComplete(): boolean;
}

const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
const OPENING = new Set([91, 123]);
const CLOSING = new Set([93, 125]);

/**
 * Creates a reader that returns the elements of a JSON array as they arrive, so that neither its text nor all elements are in
 * memory together. It only finds the commas between the elements and leaves the rest to `parse`, which takes as long as
 * JSON.parse of the whole text. A parser in JavaScript takes four times as long.
 *
 * @param parse parses the text of an array, as JSON.parse does
 */
export function createJsonArrayReader(parse: (text: string) => unknown): JsonArrayReader {
  /** From the start of the first incomplete element. */
  let text = '';
  /** The position up to which it is scanned. */
  let at = 0;
  let depth = 0;
  let isContinued = false;
  let state: 'before' | 'within' | 'after' | 'broken' = 'before';

  const begin = (): void => {
    text = text.trimStart();
    if (text === '') return;
    state = text.startsWith('[') ? 'within' : 'broken';
    text = text.slice(1);
  };

  /** Scans the rest of the text; returns the end of its last complete element, 0 without one. */
  const findEnd = (): number => {
    let end = 0;
    for (; at < text.length; at += 1) {
      const character = text.charCodeAt(at);
      if (character === QUOTE) {
        const closing = closingQuote(text, at);
        // It is scanned again when the rest of it has arrived.
        if (closing === undefined) return end;
        at = closing;
      } else if (OPENING.has(character)) depth += 1;
      else if (character === COMMA && depth === 0) end = at;
      else if (CLOSING.has(character)) {
        depth -= 1;
        if (depth >= 0) continue;
        state = 'after';
        return at;
      }
    }
    return end;
  };

  return {
    push(piece) {
      if (state === 'broken') return [];
      text += piece;
      if (state === 'before') begin();
      if (state !== 'within') return [];
      const end = findEnd();
      if (end === 0 && state === 'within') return [];
      const complete = text.slice(0, end);
      // A trailing comma.
      if (isContinued && complete.trim() === '') state = 'broken';
      try {
        const elements = parse(`[${complete}]`) as unknown[];
        isContinued = true;
        text = text.slice(end + 1);
        at -= end + 1;
        return elements;
      } catch {
        state = 'broken';
        return [];
      }
    },
    isComplete: () => state === 'after' && text.trim() === '',
  };
}

/** The position of the closing quote of a string; undefined when it has not arrived. */
function closingQuote(text: string, opening: number): number | undefined {
  for (let quote = opening; ; ) {
    quote = text.indexOf('"', quote + 1);
    if (quote === -1) return undefined;
    let before = quote - 1;
    while (text.charCodeAt(before) === BACKSLASH) before -= 1;
    if ((quote - before) % 2 === 1) return quote;
  }
}
