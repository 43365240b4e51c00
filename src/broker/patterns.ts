/**
 * Escapes `text` for a regular expression of RabbitMQ (PCRE). Anchor the result: RabbitMQ's patterns match anywhere in a
 * name.
 */
export function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

/** A pattern that matches only this name. */
export function exactly(name: string): string {
  return `^${escapePattern(name)}$`;
}
