/**
 * Makes `text` match only itself in a regular expression of RabbitMQ (PCRE). Anchor what it becomes part of: RabbitMQ
 * takes a pattern that matches anywhere in a name.
 */
export function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

/** A pattern for this name and no other. */
export function exactly(name: string): string {
  return `^${escapePattern(name)}$`;
}
