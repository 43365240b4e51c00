/** AMQP carries a routing key, and a property that is text, in at most so many bytes. */
export const MAX_SHORT_TEXT_BYTES = 255;

/**
 * Whether AMQP carries this text as a routing key or a property. What a stranger sent as bytes that are no UTF-8 grows
 * to three times its length when it is read as text, and publishing that throws.
 */
export function isShortText(text: string): boolean {
  return Buffer.byteLength(text) <= MAX_SHORT_TEXT_BYTES;
}

/** As much of the beginning of `text` as AMQP carries. */
export function asShortText(text: string): string {
  if (isShortText(text)) return text;
  let fitting = '';
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_SHORT_TEXT_BYTES) break;
    fitting += character;
  }
  return fitting;
}
