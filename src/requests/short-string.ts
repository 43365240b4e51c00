/** The most bytes that AMQP carries in a short string: a routing key, or a text property. */
export const MAX_SHORT_STRING_BYTES = 255;

/**
 * Whether AMQP carries this text as a short string. Publishing a longer one throws. Bytes that are not UTF-8 take three
 * times their length once they are decoded, so text from a client may be too long even though it arrived.
 */
export function isShortString(text: string): boolean {
  return Buffer.byteLength(text) <= MAX_SHORT_STRING_BYTES;
}

/** As much of the start of `text` as AMQP carries. */
export function toShortString(text: string): string {
  if (isShortString(text)) return text;
  let kept = '';
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_SHORT_STRING_BYTES) break;
    kept += character;
  }
  return kept;
}
